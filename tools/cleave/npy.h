// NumPy's .npy files (numpy.lib.format): one tensor each.
#pragma once

#include <filesystem>

#include "cleave/tensor.h"

namespace cleave::cli {

// Versions 1 to 3, little-endian, in C's order. Error(kInvalid) for files that are damaged,
// Error(kUnsupported) for objects, records, strings, other byte orders and Fortran's order.
Tensor read_npy(const std::filesystem::path& path);

// Error(kUnsupported) for bfloat16, which the format does not have.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace cleave::cli
