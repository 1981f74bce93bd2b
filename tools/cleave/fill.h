// Fill: a rule for the values of a tensor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cleave/tensor.h"

namespace cleave::cli {

struct Fill {
  // kNoise: uniform in [low, high) for floats, 0 or 1 with leading ones for other types.
  enum class Kind { kZeros, kOnes, kIota, kUniform, kRandomIntegers, kNoise };
  std::string name;  // of the tensor
  Kind kind = Kind::kNoise;
  double low = -1;
  double high = 1;

  // NAME=zeros, ones, iota, uniform:LO:HI or randint:LO:HI (HI is left out, as in NumPy).
  // Error(kUsage).
  static Fill parse(std::string_view text);
};

// The values are a function of the arguments alone, on every machine.
Tensor filled(const Fill& fill, DType dtype, std::vector<int64_t> shape, uint64_t seed);

}  // namespace cleave::cli
