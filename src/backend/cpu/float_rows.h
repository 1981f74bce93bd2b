// Rows of a 16-bit or float32 tensor as float, and back: float32 rows are used where they lie.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/cpu/simd/simd.h"
#include "types/dtype.h"

namespace cleave::backend {

inline bool is_float_storage(DType type) {
  return type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kBFloat16;
}

// `count` elements from element `offset` of `data`, in place or converted into `buffer`.
inline const float* as_floats(const simd::Table& table, DType type, const void* data,
                              int64_t offset, int64_t count, float* buffer) {
  if (type == DType::kFloat32) return static_cast<const float*>(data) + offset;
  const auto* bits = static_cast<const uint16_t*>(data) + offset;
  (type == DType::kFloat16 ? table.half_to_float : table.bfloat16_to_float)(bits, buffer, count);
  return buffer;
}

// Where a row of float results is to be computed: in place, or in `buffer`.
inline float* float_target(DType type, void* data, int64_t offset, float* buffer) {
  return type == DType::kFloat32 ? static_cast<float*>(data) + offset : buffer;
}
// Rounds what was computed in `buffer`; nothing to do for float32.
inline void finish_floats(const simd::Table& table, DType type, const float* buffer, void* data,
                          int64_t offset, int64_t count) {
  if (type == DType::kFloat32) return;
  auto* bits = static_cast<uint16_t*>(data) + offset;
  (type == DType::kFloat16 ? table.float_to_half : table.float_to_bfloat16)(buffer, bits, count);
}

}  // namespace cleave::backend
