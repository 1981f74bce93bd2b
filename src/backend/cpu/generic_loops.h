// Element-wise loops for the types that have no vectorised ones of their own: float64, the
// integers and bool, conversions between all, and rare functions of float. Float here stands for
// the 16-bit types as well, which are computed in float.
#pragma once

#include <cstdint>
#include <string_view>

#include "types/dtype.h"

namespace cleave::backend {

// Operands and result of one loop; a step is 0 or 1.
struct LoopCall {
  const void* operands[3] = {};
  int64_t steps[3] = {};
  void* result = nullptr;
  int64_t count = 0;
  double alpha = 0;
};
using GenericLoop = void (*)(const LoopCall& call);

// The type that elements of `type` are computed in.
inline DType working_type(DType type) {
  return type == DType::kFloat16 || type == DType::kBFloat16 ? DType::kFloat32 : type;
}

// Each null where there is no such operation for the (working) type.
GenericLoop arithmetic_loop(std::string_view op, DType type);
GenericLoop compare_loop(std::string_view op, DType type);  // to bool
GenericLoop where_loop(DType type);
GenericLoop cast_loop(DType from, DType to);

}  // namespace cleave::backend
