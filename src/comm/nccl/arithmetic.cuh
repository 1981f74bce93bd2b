// The arithmetic of reductions on a GPU: what comm/reduce.cc is on the host.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "types/dtype.h"
#include "types/reduce_op.h"

namespace cleave::nccl {

// How a type is stored and in which it is combined.
template <class Stored>
struct Element {
  using Accumulator = Stored;
  __device__ static Stored load(Stored value) { return value; }
  __device__ static Stored store(Stored value) { return value; }
};

template <>
struct Element<__half> {
  using Accumulator = float;
  __device__ static float load(__half value) { return __half2float(value); }
  __device__ static __half store(float value) { return __float2half_rn(value); }
};

template <>
struct Element<__nv_bfloat16> {
  using Accumulator = float;
  __device__ static float load(__nv_bfloat16 value) { return __bfloat162float(value); }
  __device__ static __nv_bfloat16 store(float value) { return __float2bfloat16_rn(value); }
};

// a op b. Integers wrap around; a NaN on either side of max and min wins. The operator is the same
// for a whole grid, so that the branch costs next to nothing.
template <class T>
__device__ T combine(ReduceOp op, T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    const auto x = static_cast<uint64_t>(a);
    const auto y = static_cast<uint64_t>(b);
    if (op == ReduceOp::kSum) return static_cast<T>(x + y);
    if (op == ReduceOp::kProd) return static_cast<T>(x * y);
    return (op == ReduceOp::kMax) == (a > b) ? a : b;
  } else {
    if (op == ReduceOp::kSum) return a + b;
    if (op == ReduceOp::kProd) return a * b;
    if (op == ReduceOp::kMax) return (b > a || b != b) ? b : a;
    return (b < a || b != b) ? b : a;
  }
}

// Elements that a thread loads and stores at once, aligned to the largest power of two that divides
// their size.
template <class T, int kElements>
struct alignas((sizeof(T) * kElements) & -(sizeof(T) * kElements)) Pack {
  T at[kElements];
};

// Terms combined in order, one at a time.
template <class T, int kElements>
struct Sum {
  typename Element<T>::Accumulator at[kElements];

  __device__ void start(const Pack<T, kElements>& term) {
#pragma unroll
    for (int e = 0; e < kElements; ++e) at[e] = Element<T>::load(term.at[e]);
  }
  __device__ void add(ReduceOp op, const Pack<T, kElements>& term) {
    if (op == ReduceOp::kSum) return add_elements(ReduceOp::kSum, term);  // without a branch each
    add_elements(op, term);
  }
  __device__ void add_elements(ReduceOp op, const Pack<T, kElements>& term) {
#pragma unroll
    for (int e = 0; e < kElements; ++e) at[e] = combine(op, at[e], Element<T>::load(term.at[e]));
  }
  __device__ Pack<T, kElements> rounded() const {
    Pack<T, kElements> result;
#pragma unroll
    for (int e = 0; e < kElements; ++e) result.at[e] = Element<T>::store(at[e]);
    return result;
  }
};

// Booleans are bytes 0 and 1: "or" is their maximum, "and" their minimum.
inline ReduceOp operator_on_bytes(ReduceOp op) {
  return op == ReduceOp::kSum || op == ReduceOp::kMax ? ReduceOp::kMax : ReduceOp::kMin;
}

// Calls `visit(T{}, op)` with the type that device code has for `type` and the operator on it.
template <class Visit>
void with_device_type(DType type, ReduceOp op, Visit&& visit) {
  switch (type) {
    case DType::kFloat32:
      return visit(float{}, op);
    case DType::kFloat16:
      return visit(__half{}, op);
    case DType::kBFloat16:
      return visit(__nv_bfloat16{}, op);
    case DType::kFloat64:
      return visit(double{}, op);
    case DType::kInt8:
      return visit(int8_t{}, op);
    case DType::kInt16:
      return visit(int16_t{}, op);
    case DType::kInt32:
      return visit(int32_t{}, op);
    case DType::kInt64:
      return visit(int64_t{}, op);
    case DType::kUInt8:
      return visit(uint8_t{}, op);
    case DType::kUInt16:
      return visit(uint16_t{}, op);
    case DType::kUInt32:
      return visit(uint32_t{}, op);
    case DType::kUInt64:
      return visit(uint64_t{}, op);
    case DType::kBool:
      return visit(uint8_t{}, operator_on_bytes(op));
  }
}

// The same for each type that there is.
template <class Visit>
void for_each_device_type(Visit&& visit) {
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    with_device_type(static_cast<DType>(type), ReduceOp::kSum, visit);
  }
}

}  // namespace cleave::nccl
