// An all_reduce in which every rank reduces its slice of what all ranks have where it lies.
#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/check.h"
#include "comm/nccl/peer_slice.cuh"
#include "comm/slice.h"

namespace cleave::nccl {
namespace {

template <class T, int kRanks>
__global__ void __launch_bounds__(kDirectThreads)
    direct_kernel(const __grid_constant__ PeerView view, const T* src, T* dst, int64_t begin,
                  int64_t end, ReduceOp op) {
  constexpr int kElements = 16 / sizeof(T);
  constexpr int kUnroll = kRanks <= 2 ? 4 : 1;
  __shared__ Addresses told;
  const EpochCount count(view);
  await_stream();
  const uint32_t epoch = count.next();
  const auto* own = reinterpret_cast<const std::byte*>(src);
  const auto tell = [&](int) { return own; };
  if (swap_addresses(view, count, epoch, tell, reinterpret_cast<std::byte*>(dst), told)) {
    // Nobody else touches it, so that source and destination may be the same.
    Slice<T, kRanks> slice;
    slice.ranks = view.ranks;
    slice.results = view.ranks;
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r >= view.ranks) continue;
      slice.from[r] = r == view.rank ? src : reinterpret_cast<const T*>(told.first[r]);
      slice.to[r] = r == view.rank ? dst : reinterpret_cast<T*>(told.second[r]);
    }
    // Slices begin at multiples of kSliceGrain elements.
    const int64_t packs = slice.aligned() ? (end - begin) / kElements : 0;
    slice.template reduce<kElements, kUnroll>(begin, packs, op);
    slice.template reduce<1, 1>(begin + packs * kElements, end - begin - packs * kElements, op);
  }
  end_together(view, epoch);
}

}  // namespace

void load_direct_reduce() {
  for_each_device_type([]<class T>(T, ReduceOp) {
    load_kernel(direct_kernel<T, 2>);
    load_kernel(direct_kernel<T, kMostPeers>);
  });
}

void direct_all_reduce(const PeerView& view, const void* src, void* dst, int64_t count, DType type,
                       ReduceOp op, const Launch& launch) {
  const auto element_size = static_cast<int64_t>(size_of(type));
  const int64_t begin = slice_begin(count, view.rank, view.ranks);
  const int64_t end = slice_begin(count, view.rank + 1, view.ranks);
  // As many on all ranks: not by this one's slice.
  const Grid grid = grid_for(count * element_size / 16 / view.ranks, kDirectThreads, kDirectBlocks);
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    with_most_ranks(view.ranks, [&](auto ranks) {
      start_kernel(direct_kernel<T, ranks()>, grid, launch, "starting an all_reduce", view,
                   static_cast<const T*>(src), static_cast<T*>(dst), begin, end, device_op);
    });
  });
}

}  // namespace cleave::nccl
