// The text of the device code files (*.cuh), which are part of the library.
#pragma once

#include <string_view>

namespace cleave::backend {

// By file name without its extension: "prelude". It must exist.
std::string_view device_source(std::string_view name);

}  // namespace cleave::backend
