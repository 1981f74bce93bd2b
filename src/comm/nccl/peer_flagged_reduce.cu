// An all_reduce in which every rank pushes its term to all others in flagged words.
#include "comm/nccl/arithmetic.cuh"
#include "comm/nccl/check.h"
#include "comm/nccl/peer.cuh"

namespace cleave::nccl {
namespace {

// Every rank sends its term to all and reduces all terms; a thread has 8 bytes at a time. `kRanks`
// is at least view.ranks.
template <class T, int kRanks>
__global__ void __launch_bounds__(kFlaggedThreads)
    flagged_kernel(const __grid_constant__ PeerView view, const std::byte* src, std::byte* dst,
                   int64_t bytes, ReduceOp op, bool src_aligned, bool dst_aligned) {
  constexpr int kElements = 8 / sizeof(T);
  using P = Pack<T, kElements>;
  const uint32_t epoch = this_epoch(view);
  const int64_t words = (bytes + 7) / 8;
  const int64_t step = int64_t{gridDim.x} * kFlaggedThreads;
  for (int64_t i = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x; i < words; i += step) {
    const uint64_t own = load_word(src, i, bytes, src_aligned);
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r >= view.ranks || r == view.rank) continue;
      store_flagged(slot(view, r, view.rank, epoch) + i * 16, own, epoch);
    }
    const auto received = [&](int r) { return slot(view, view.rank, r, epoch) + i * 16; };
    FlaggedWord words_of[kRanks];
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r < view.ranks && r != view.rank) words_of[r] = load_flagged(received(r));
    }
    Sum<T, kElements> sum;
#pragma unroll
    for (int r = 0; r < kRanks; ++r) {
      if (r >= view.ranks) continue;
      const uint64_t term =
          r == view.rank ? own : wait_flagged(view, received(r), epoch, words_of[r]).payload();
      if (r == 0) {
        sum.start(bits_as<P>(term));
      } else {
        sum.add(op, bits_as<P>(term));
      }
    }
    store_word(dst, i, bytes, dst_aligned, bits_as<uint64_t>(sum.rounded()));
  }
  end_epoch(view, epoch);
}

}  // namespace

void load_flagged_reduce() {
  for_each_device_type([]<class T>(T, ReduceOp) {
    load_kernel(flagged_kernel<T, 2>);
    load_kernel(flagged_kernel<T, kMostPeers>);
  });
}

void flagged_all_reduce(const PeerView& view, const void* src, void* dst, int64_t count, DType type,
                        ReduceOp op, const Launch& launch) {
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  const unsigned blocks = blocks_for((bytes + 7) / 8, kFlaggedThreads, kMostBlocks);
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    with_most_ranks(view.ranks, [&](auto ranks) {
      flagged_kernel<T, ranks()><<<blocks, kFlaggedThreads, 0, launch.stream>>>(
          view, static_cast<const std::byte*>(src), static_cast<std::byte*>(dst), bytes, device_op,
          aligned_to_words(src), aligned_to_words(dst));
    });
  });
  cuda_check(cudaGetLastError(), "starting an all_reduce");
}

}  // namespace cleave::nccl
