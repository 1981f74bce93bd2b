// Messages between GPUs that reach each other's memory.
#include "comm/nccl/check.h"
#include "comm/nccl/peer_rows.cuh"

namespace cleave::nccl {
namespace {

// The first `blocks` blocks of a grid exchange; those behind them copy what the rank has for itself
// meanwhile, and wait for nobody.
template <int kThreads>
__device__ void copy_own(const PeerView& view, const PeerMessages& messages, unsigned blocks) {
  const PeerMessage& own = messages.of[view.rank];
  const EpochCount count(view);
  await_stream();
  count.advance(count.next());
  copy_message<kThreads>(
      {blockIdx.x - blocks, gridDim.x - blocks},
      {static_cast<const std::byte*>(own.send), static_cast<std::byte*>(own.receive),
       own.receive_bytes, own.receive_rows.run, own.send_rows.stride, own.receive_rows.stride});
}

// Threads send all they have to before they wait.
__device__ void exchange_flagged(const PeerView& view, const PeerMessages& messages,
                                 unsigned blocks) {
  const int64_t step = int64_t{blocks} * kFlaggedThreads;
  const int64_t first = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x;
  const uint32_t epoch = send_messages(view, messages, first, step);
  for (int distance = 1; distance < view.ranks; ++distance) {
    const int peer = (view.rank + distance) % view.ranks;
    const PeerMessage& message = messages.of[peer];
    auto* to = static_cast<std::byte*>(message.receive);
    const int64_t bytes = message.receive_bytes;
    const bool aligned = aligned_to_words(to, message.receive_rows, bytes);
    const std::byte* const from = slot(view, view.rank, peer, epoch);
    for (int64_t word = first; word < words_of(bytes); word += step) {
      const std::byte* const place = from + word * 16;
      const FlaggedWord come = wait_for(view, place, epoch, FlaggedWord::load(place));
      PayloadPlace<std::byte, std::byte>(to, message.receive_rows, word, bytes, aligned)
          .store(come.payload);
    }
  }
}

// Each rank fetches what its peers have for it, beginning with the next one.
__device__ void exchange_direct(const PeerView& view, const PeerMessages& messages,
                                unsigned blocks) {
  __shared__ Addresses told;
  const EpochCount count(view);
  await_stream();
  const uint32_t epoch = count.next();
  const auto message_for = [&](int peer) {
    return static_cast<const std::byte*>(messages.of[peer].send);
  };
  if (swap_addresses(view, count, epoch, message_for, nullptr, told)) {
    for (int distance = 1; distance < view.ranks; ++distance) {
      const int peer = (view.rank + distance) % view.ranks;
      const PeerMessage& message = messages.of[peer];
      copy_message<kDirectThreads>(
          {blockIdx.x, blocks},
          {told.first[peer], static_cast<std::byte*>(message.receive), message.receive_bytes,
           message.receive_rows.run, message.source_stride, message.receive_rows.stride});
    }
  }
  end_together(view, epoch);
}

// One of the two ways, and what the rank has for itself.
template <int kThreads, void (*kExchange)(const PeerView&, const PeerMessages&, unsigned)>
__global__ void __launch_bounds__(kThreads)
    exchange_kernel(const __grid_constant__ PeerView view,
                    const __grid_constant__ PeerMessages messages, unsigned blocks) {
  if (blockIdx.x < blocks) {
    kExchange(view, messages, blocks);
  } else {
    copy_own<kThreads>(view, messages, blocks);
  }
}
constexpr auto kFlagged = exchange_kernel<kFlaggedThreads, exchange_flagged>;
constexpr auto kDirect = exchange_kernel<kDirectThreads, exchange_direct>;

// On so many blocks, and others behind them for what the rank has for itself.
void start_exchange(decltype(kFlagged) kernel, const Grid& exchanging, const PeerView& view,
                    const PeerMessages& messages, const Launch& launch) {
  Grid grid = exchanging;
  const int64_t bytes = messages.of[view.rank].receive_bytes;
  if (bytes > 0) {
    grid.blocks += grid_for(bytes / (16 * kCopiedAtOnce), grid.threads, kMostOwnBlocks).blocks;
  }
  start_kernel(kernel, grid, launch, "starting an exchange", view, messages, exchanging.blocks);
}

}  // namespace

void load_exchanges() {
  load_kernel(kFlagged);
  load_kernel(kDirect);
}

void flagged_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                      const Launch& launch) {
  start_exchange(kFlagged, flagged_grid(words_of(largest)), view, messages, launch);
}

void direct_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                     const Launch& launch) {
  const Grid grid = grid_for(largest / 16, kDirectThreads, kDirectBlocks);
  start_exchange(kDirect, grid, view, messages, launch);
}

}  // namespace cleave::nccl
