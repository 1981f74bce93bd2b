// Terms of a reduction, gathered in one device's memory, combined in the order of ranks.
#include <algorithm>

#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/check.h"
#include "comm/nccl/kernels.h"

namespace cleave::nccl {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;

// A thread combines a vector of elements at a time.
template <class T, int kElements>
struct alignas(sizeof(T) * kElements) Vector {
  T at[kElements];
};

template <class T, int kElements>
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(const Terms terms, const int64_t first, const int64_t vectors, const ReduceOp op,
                  T* const dst) {
  using E = Element<T>;
  using V = Vector<T, kElements>;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < vectors; i += step) {
    const auto term = [&](int t) {
      return reinterpret_cast<const V*>(static_cast<const T*>(terms.at[t]) + first)[i];
    };
    typename E::Accumulator sum[kElements];
    V next = term(0);
#pragma unroll
    for (int e = 0; e < kElements; ++e) sum[e] = E::load(next.at[e]);
    for (int t = 1; t < terms.count; ++t) {
      next = term(t);
#pragma unroll
      for (int e = 0; e < kElements; ++e) sum[e] = combine(op, sum[e], E::load(next.at[e]));
    }
#pragma unroll
    for (int e = 0; e < kElements; ++e) next.at[e] = E::store(sum[e]);
    reinterpret_cast<V*>(dst + first)[i] = next;
  }
}

template <class T, int kElements>
void start(const Terms& terms, int64_t first, int64_t vectors, ReduceOp op, void* dst,
           const Launch& launch) {
  if (vectors == 0) return;
  const int64_t most = int64_t{launch.multiprocessors} * kBlocksPerMultiprocessor;
  const int64_t blocks = std::min(most, (vectors + kThreads - 1) / kThreads);
  reduce_kernel<T, kElements><<<static_cast<unsigned>(blocks), kThreads, 0, launch.stream>>>(
      terms, first, vectors, op, static_cast<T*>(dst));
  cuda_check(cudaGetLastError(), "starting a reduction");
}

bool all_aligned(const Terms& terms, const void* dst, uintptr_t bytes) {
  uintptr_t bits = reinterpret_cast<uintptr_t>(dst);
  for (int t = 0; t < terms.count; ++t) bits |= reinterpret_cast<uintptr_t>(terms.at[t]);
  return bits % bytes == 0;
}

}  // namespace

void reduce_terms(const Terms& terms, int64_t count, DType type, ReduceOp op, void* dst,
                  const Launch& launch) {
  if (count == 0) return;
  if (terms.count == 1) {
    if (terms.at[0] == dst) return;
    const size_t bytes = static_cast<size_t>(count) * size_of(type);
    cuda_check(cudaMemcpyAsync(dst, terms.at[0], bytes, cudaMemcpyDeviceToDevice, launch.stream),
               "copying a term");
    return;
  }
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    constexpr int kElements = 16 / sizeof(T);
    const int64_t vectors = all_aligned(terms, dst, 16) ? count / kElements : 0;
    start<T, kElements>(terms, 0, vectors, device_op, dst, launch);
    start<T, 1>(terms, vectors * kElements, count - vectors * kElements, device_op, dst, launch);
  });
}

}  // namespace cleave::nccl
