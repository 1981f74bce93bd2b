// Reductions of operands that lie in the memory of several GPUs.
#pragma once

#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/peer.cuh"

namespace cleave::nccl {

// A slice of operands: read from each rank's memory, reduced, written to some. `kRanks` is at least
// `ranks`.
template <class T, int kRanks>
struct Slice {
  const T* from[kRanks];
  T* to[kRanks];
  int ranks;
  int results;  // how many of `to` there are

  __device__ bool aligned() const {
    uintptr_t bits = 0;
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r < ranks) bits |= reinterpret_cast<uintptr_t>(from[r]);
      if (r < results) bits |= reinterpret_cast<uintptr_t>(to[r]);
    }
    return bits % 16 == 0;
  }

  // From element `begin` on; a thread has `kUnroll` packs at once, so that many loads are under
  // way.
  template <int kElements, int kUnroll>
  __device__ void reduce(int64_t begin, int64_t packs, ReduceOp op) const {
    using P = Pack<T, kElements>;
    const int64_t step = int64_t{gridDim.x} * kDirectThreads;
    const int64_t first = int64_t{blockIdx.x} * kDirectThreads + threadIdx.x;
    for (int64_t i = first; i < packs; i += step * kUnroll) {
      P terms[kUnroll][kRanks];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
        for (int r = 0; r < kRanks; ++r) {
          if (i + u * step >= packs || r >= ranks) continue;
          terms[u][r] = load_uncached(reinterpret_cast<const P*>(from[r] + begin) + i + u * step);
        }
      }
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        if (i + u * step >= packs) continue;
        Sum<T, kElements> sum;
        sum.start(terms[u][0]);
#pragma unroll
        for (int r = 1; r < kRanks; ++r) {
          if (r < ranks) sum.add(op, terms[u][r]);
        }
        const P result = sum.rounded();
#pragma unroll
        for (int r = 0; r < kRanks; ++r) {
          if (r < results) reinterpret_cast<P*>(to[r] + begin)[i + u * step] = result;
        }
      }
    }
  }
};

}  // namespace cleave::nccl
