# Writes OUTPUT, a C++ file whose FUNCTION, declared in HEADER in NAMESPACE, gives the text of each of
# FILES by its name without the extension.
set(entries "")
foreach(file ${FILES})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  # String literals have a limit of length: a piece a few thousand characters long each.
  string(LENGTH "${text}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 8000 piece)
    string(APPEND pieces "R\"~~~~(${piece})~~~~\"\n")
    math(EXPR at "${at} + 8000")
  endwhile()
  string(APPEND entries "    {\"${name}\",\n${pieces}},\n")
endforeach()
file(WRITE ${OUTPUT}
"// Written by cmake/EmbedTexts.cmake.
#include \"${HEADER}\"

#include <map>

#include \"base/check.h\"

namespace ${NAMESPACE} {

std::string_view ${FUNCTION}(std::string_view name) {
  static const std::map<std::string_view, std::string_view> kTexts = {
${entries}  };
  const auto found = kTexts.find(name);
  CLEAVE_CHECK(found != kTexts.end(), \"no text of this name is part of the library\");
  return found->second;
}

}  // namespace ${NAMESPACE}
")
