// Reductions of operands that lie in the memory of several GPUs.
#pragma once

#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/peer_rows.cuh"

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
    reduce_from<kElements, kUnroll>(begin, packs, op, [](int64_t i) { return i; });
  }

  // The same of operands that lie in rows of whole packs, less than 2^31 of them.
  template <int kElements, int kUnroll>
  __device__ void reduce(int64_t begin, int64_t packs, ReduceOp op, const MessageRows& rows) const {
    constexpr auto kBytes = static_cast<int64_t>(kElements * sizeof(T));
    const auto run = static_cast<uint32_t>(rows.run / kBytes);
    const int64_t stride = rows.stride / kBytes;
    reduce_from<kElements, kUnroll>(begin, packs, op, [&](int64_t i) {
      return RowPlace(static_cast<uint32_t>(i), run).offset(stride);
    });
  }

 private:
  // `place` says where a pack lies in the operands.
  template <int kElements, int kUnroll, class Place>
  __device__ void reduce_from(int64_t begin, int64_t packs, ReduceOp op, Place&& place) const {
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
          terms[u][r] =
              load_uncached(reinterpret_cast<const P*>(from[r] + begin) + place(i + u * step));
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
