// Element types of tensors.
#pragma once

#include <cstdint>

namespace cleave {

// The numbers are part of the engine format.
enum class DType : uint8_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kBFloat16 = 2,
  kFloat64 = 3,
  kInt8 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kUInt8 = 8,
  kUInt16 = 9,
  kUInt32 = 10,
  kUInt64 = 11,
  kBool = 12,  // one byte, 0 or 1
};

}  // namespace cleave
