// What the system says of the processor.
#pragma once

#include <string>
#include <string_view>

namespace cleave {

// The value of the first line of /proc/cpuinfo that begins with `key`, for example "model name";
// empty where there is none.
std::string cpu_info(std::string_view key);

}  // namespace cleave
