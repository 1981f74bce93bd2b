// Terms of a reduction, gathered in one device's memory, combined in the order of ranks.
#include <algorithm>

#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/check.h"
#include "comm/nccl/kernels.h"
#include "comm/nccl/overlap.cuh"

namespace cleave::nccl {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;

template <class T, int kElements>
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(const Terms terms, const int64_t first, const int64_t packs, const ReduceOp op,
                  T* const dst) {
  using P = Pack<T, kElements>;
  await_stream();
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < packs; i += step) {
    const auto term = [&](int t) {
      return reinterpret_cast<const P*>(static_cast<const T*>(terms.at[t]) + first)[i];
    };
    Sum<T, kElements> sum;
    sum.start(term(0));
    for (int t = 1; t < terms.count; ++t) sum.add(op, term(t));
    reinterpret_cast<P*>(dst + first)[i] = sum.rounded();
  }
}

template <class T, int kElements>
void start(const Terms& terms, int64_t first, int64_t packs, ReduceOp op, void* dst,
           const Launch& launch) {
  if (packs == 0) return;
  const int64_t most = int64_t{launch.multiprocessors} * kBlocksPerMultiprocessor;
  const int64_t blocks = std::min(most, (packs + kThreads - 1) / kThreads);
  start_kernel(reduce_kernel<T, kElements>, {static_cast<unsigned>(blocks), kThreads}, launch,
               "starting a reduction", terms, first, packs, op, static_cast<T*>(dst));
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
    const int64_t packs = all_aligned(terms, dst, 16) ? count / kElements : 0;
    start<T, kElements>(terms, 0, packs, device_op, dst, launch);
    start<T, 1>(terms, packs * kElements, count - packs * kElements, device_op, dst, launch);
  });
}

}  // namespace cleave::nccl
