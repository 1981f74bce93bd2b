// Reductions of which each rank keeps a part: it gets the terms of its part from all ranks.
#include "comm/nccl/check.h"
#include "comm/nccl/peer_slice.cuh"

namespace cleave::nccl {
namespace {

// As the all_reduce of this kind, but that each peer gets a message of its own; `bytes` is the size
// of what this rank gets.
template <class T>
__global__ void __launch_bounds__(kFlaggedThreads)
    flagged_kernel(const __grid_constant__ PeerView view,
                   const __grid_constant__ PeerMessages messages, std::byte* dst, int64_t bytes,
                   ReduceOp op) {
  using P = Pack<T, kPayloadBytes<T> / sizeof(T)>;
  const int64_t step = int64_t{gridDim.x} * kFlaggedThreads;
  const int64_t first = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x;
  const uint32_t epoch = send_messages<T>(view, messages, first, step);
  const Outgoing<T> kept(view, messages, view.rank);
  const bool aligned = aligned_to_words(dst);
  for (int64_t i = first; i < words_of<T>(bytes); i += step) {
    const Payload own = kept.place(i).load();
    Sum<T, kPayloadBytes<T> / sizeof(T)> sum;
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r >= view.ranks) continue;
      Payload term = own;
      if (r != view.rank) {
        const std::byte* const place = slot(view, view.rank, r, epoch) + i * 16;
        term = wait_for(view, place, epoch, FlaggedWord::load(place)).payload;
      }
      if (r == 0) {
        sum.start(elements_of<P>(term));
      } else {
        sum.add(op, elements_of<P>(term));
      }
    }
    PayloadPlace<T, std::byte>(dst, {bytes, 0}, i, bytes, aligned).store(payload_of(sum.rounded()));
  }
}

template <class T>
__global__ void __launch_bounds__(kDirectThreads)
    direct_kernel(const __grid_constant__ PeerView view,
                  const __grid_constant__ PeerMessages messages, T* dst, int64_t elements,
                  ReduceOp op) {
  constexpr int kElements = 16 / sizeof(T);
  __shared__ Addresses told;
  const EpochCount count(view);
  await_stream();
  const uint32_t epoch = count.next();
  const auto message_for = [&](int peer) {
    return static_cast<const std::byte*>(messages.of[peer].send);
  };
  if (swap_addresses(view, count, epoch, message_for, nullptr, told)) {
    Slice<T, kMostPeers> slice;
    slice.ranks = view.ranks;
    slice.results = 1;
    slice.to[0] = dst;
#pragma unroll
    for (int r = 0; r < kMostPeers; ++r) {
      if (r >= view.ranks) continue;
      slice.from[r] = reinterpret_cast<const T*>(r == view.rank ? message_for(r) : told.first[r]);
    }
    const PeerMessage& own = messages.of[view.rank];
    if (is_stretch(own.send_rows, own.send_bytes)) {
      const int64_t packs = slice.aligned() ? elements / kElements : 0;
      slice.template reduce<kElements, 1>(0, packs, op);
      slice.template reduce<1, 1>(packs * kElements, elements - packs * kElements, op);
    } else if (slice.aligned() && (own.send_rows.run | own.send_rows.stride) % 16 == 0) {
      slice.template reduce<kElements, 1>(0, elements / kElements, op, own.send_rows);
    } else {
      slice.template reduce<1, 1>(0, elements, op, own.send_rows);
    }
  }
  end_together(view, epoch);
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
  const int64_t bytes = count * static_cast<int64_t>(size_of(type));
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    start_kernel(flagged_kernel<T>, flagged_grid(words_of<T>(largest)), launch,
                 "starting a reduce_scatter", view, messages, static_cast<std::byte*>(dst), bytes,
                 device_op);
  });
}

void direct_reduce_scatter(const PeerView& view, const PeerMessages& messages, void* dst,
                           int64_t count, int64_t largest, DType type, ReduceOp op,
                           const Launch& launch) {
  const Grid grid = grid_for(largest / 16, kDirectThreads, kDirectBlocks);
  with_device_type(type, op, [&]<class T>(T, ReduceOp device_op) {
    start_kernel(direct_kernel<T>, grid, launch, "starting a reduce_scatter", view, messages,
                 static_cast<T*>(dst), count, device_op);
  });
}

}  // namespace cleave::nccl
