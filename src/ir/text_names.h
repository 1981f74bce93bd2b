// How names are written in the text form of graphs; shared by its printer and parser.
#pragma once

#include <string>
#include <string_view>

namespace cleave::ir {

bool is_plain_name_character(char c);
// In double quotes; `\` stands before `"` and `\`, line ends are `\n` and `\r`.
std::string quoted_name(std::string_view name);
// A value's or op's name: quoted where it is not all plain characters.
std::string text_of_name(std::string_view name);
// A name that takes the rest of a line: quoted where the line would not show where it begins and
// ends.
std::string text_of_remark(std::string_view name);

}  // namespace cleave::ir
