// Figures and names for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/dtype.h"

namespace cleave::cli {

std::string bytes_text(double bytes);                        // "12.3 MiB"
std::string time_text(double us);                            // "1.234 ms"
std::string shape_text(const std::vector<int64_t>& shape);   // "4x512"
std::string_view type_text(DType type);                      // "float32", as NumPy calls it
std::string list_text(const std::vector<std::string>& all);  // "a, b", or "none"

}  // namespace cleave::cli
