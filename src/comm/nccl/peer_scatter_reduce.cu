// Reductions of which each rank keeps a part: it gets the terms of its part from all ranks.
#include "comm/nccl/check.h"
#include "comm/nccl/peer_slice.cuh"

namespace cleave::nccl {
namespace {

// As the all_reduce of this kind, but that each peer gets a message of its own. `words` is the
// number of words of the largest one, `bytes` the size of what this rank gets.
template <class T>
__global__ void __launch_bounds__(kFlaggedThreads)
    flagged_kernel(const __grid_constant__ PeerView view,
                   const __grid_constant__ PeerMessages messages, std::byte* dst, int64_t bytes,
                   int64_t words, ReduceOp op) {
  constexpr int kElements = 8 / sizeof(T);
  using P = Pack<T, kElements>;
  const uint32_t epoch = this_epoch(view);
  const int64_t step = int64_t{gridDim.x} * kFlaggedThreads;
  const auto word_for = [&](int r, int64_t i) {
    const auto* from = static_cast<const std::byte*>(messages.send[r]);
    return load_word(from, i, messages.send_bytes[r], aligned_to_words(from));
  };
  for (int64_t i = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x; i < words; i += step) {
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r >= view.ranks || r == view.rank || i >= words_of(messages.send_bytes[r])) continue;
      store_flagged(slot(view, r, view.rank, epoch) + i * 16, word_for(r, i), epoch);
    }
    if (i >= words_of(bytes)) continue;
    Sum<T, kElements> sum;
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r >= view.ranks) continue;
      uint64_t term = 0;
      if (r == view.rank) {
        term = word_for(r, i);
      } else {
        const std::byte* const place = slot(view, view.rank, r, epoch) + i * 16;
        term = wait_flagged(view, place, epoch, load_flagged(place)).payload();
      }
      if (r == 0) {
        sum.start(bits_as<P>(term));
      } else {
        sum.add(op, bits_as<P>(term));
      }
    }
    store_word(dst, i, bytes, aligned_to_words(dst), bits_as<uint64_t>(sum.rounded()));
  }
  end_epoch(view, epoch);
}

template <class T>
__global__ void __launch_bounds__(kDirectThreads)
    direct_kernel(const __grid_constant__ PeerView view,
                  const __grid_constant__ PeerMessages messages, T* dst, int64_t count,
                  ReduceOp op) {
  constexpr int kElements = 16 / sizeof(T);
  __shared__ Addresses told;
  const uint32_t epoch = this_epoch(view);
  const auto message_for = [&](int peer) {
    return static_cast<const std::byte*>(messages.send[peer]);
  };
  if (swap_addresses(view, epoch, message_for, nullptr, told)) {
    Slice<T, kMostPeers> slice;
    slice.ranks = view.ranks;
    slice.results = 1;
    slice.to[0] = dst;
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r >= view.ranks) continue;
      slice.from[r] = reinterpret_cast<const T*>(r == view.rank ? message_for(r) : told.first[r]);
    }
    const int64_t packs = slice.aligned() ? count / kElements : 0;
    slice.template reduce<kElements, 1>(0, packs, op);
    slice.template reduce<1, 1>(packs * kElements, count - packs * kElements, op);
  }
  end_together(view, epoch);
  end_epoch(view, epoch);
}

}  // namespace

void load_scatter_reduce() {
  for_each_device_type([]<class T>(T, ReduceOp) {
    load_kernel(flagged_kernel<T>);
    load_kernel(direct_kernel<T>);
  });
}

void flagged_reduce_scatter(const PeerView& view, const PeerMessages& messages, void* dst,
                            int64_t count, int64_t largest, DType type, ReduceOp op,
                            const Launch& launch) {
  const int64_t words = std::max<int64_t>(1, (largest + 7) / 8);
  const unsigned blocks = blocks_for(words, kFlaggedThreads, kMostBlocks);
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    flagged_kernel<T><<<blocks, kFlaggedThreads, 0, launch.stream>>>(
        view, messages, static_cast<std::byte*>(dst), bytes, words, device_op);
  });
  cuda_check(cudaGetLastError(), "starting a reduce_scatter");
}

void direct_reduce_scatter(const PeerView& view, const PeerMessages& messages, void* dst,
                           int64_t count, int64_t largest, DType type, ReduceOp op,
                           const Launch& launch) {
  const unsigned blocks = blocks_for(largest / 16, kDirectThreads, kDirectBlocks);
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    direct_kernel<T><<<blocks, kDirectThreads, 0, launch.stream>>>(
        view, messages, static_cast<T*>(dst), count, device_op);
  });
  cuda_check(cudaGetLastError(), "starting a reduce_scatter");
}

}  // namespace cleave::nccl
