// Messages between GPUs that reach each other's memory.
#include <algorithm>

#include "comm/nccl/check.h"
#include "comm/nccl/peer.cuh"

namespace cleave::nccl {
namespace {

// `words` is the number of words of the largest message. Threads send all they have to before they
// wait.
__global__ void __launch_bounds__(kFlaggedThreads)
    flagged_kernel(const __grid_constant__ PeerView view,
                   const __grid_constant__ PeerMessages messages, int64_t words) {
  const uint32_t epoch = this_epoch(view);
  const int64_t all = words * (view.ranks - 1);
  const int64_t step = int64_t{gridDim.x} * kFlaggedThreads;
  const int64_t first = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x;
  const auto peer_of = [&](int64_t i) {
    return static_cast<int>((view.rank + 1 + i / words) % view.ranks);
  };
  for (int64_t i = first; i < all; i += step) {
    const int peer = peer_of(i);
    const int64_t word = i % words;
    const int64_t bytes = messages.send_bytes[peer];
    if (word >= words_of(bytes)) continue;
    const auto* from = static_cast<const std::byte*>(messages.send[peer]);
    const uint64_t payload = load_word(from, word, bytes, aligned_to_words(from));
    store_flagged(slot(view, peer, view.rank, epoch) + word * 16, payload, epoch);
  }
  const int64_t own_bytes = messages.receive_bytes[view.rank];
  for (int64_t word = first; word * 8 < own_bytes; word += step) {
    const auto* from = static_cast<const std::byte*>(messages.send[view.rank]);
    auto* to = static_cast<std::byte*>(messages.receive[view.rank]);
    const uint64_t payload = load_word(from, word, own_bytes, aligned_to_words(from));
    store_word(to, word, own_bytes, aligned_to_words(to), payload);
  }
  for (int64_t i = first; i < all; i += step) {
    const int peer = peer_of(i);
    const int64_t word = i % words;
    const int64_t bytes = messages.receive_bytes[peer];
    if (word >= words_of(bytes)) continue;
    const std::byte* const place = slot(view, view.rank, peer, epoch) + word * 16;
    const uint64_t payload = wait_flagged(view, place, epoch, load_flagged(place)).payload();
    auto* to = static_cast<std::byte*>(messages.receive[peer]);
    store_word(to, word, bytes, aligned_to_words(to), payload);
  }
  end_epoch(view, epoch);
}

// Copies in units of a type, by all threads of the grid; returns the bytes that it has copied.
template <class Unit>
__device__ int64_t copy_units(const std::byte* from, std::byte* to, int64_t bytes) {
  constexpr int kUnroll = 4;
  const int64_t units = bytes / static_cast<int64_t>(sizeof(Unit));
  const int64_t step = int64_t{gridDim.x} * kDirectThreads;
  const auto* source = reinterpret_cast<const Unit*>(from);
  auto* result = reinterpret_cast<Unit*>(to);
  for (int64_t i = int64_t{blockIdx.x} * kDirectThreads + threadIdx.x; i < units;
       i += step * kUnroll) {
    Unit unit[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (i + u * step < units) unit[u] = load_uncached(source + i + u * step);
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (i + u * step < units) result[i + u * step] = unit[u];
    }
  }
  return units * static_cast<int64_t>(sizeof(Unit));
}

__device__ void copy_message(const std::byte* from, std::byte* to, int64_t bytes) {
  const auto bits = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to);
  int64_t copied = 0;
  if (bits % 16 == 0) {
    copied = copy_units<uint4>(from, to, bytes);
  } else if (bits % 4 == 0) {
    copied = copy_units<uint32_t>(from, to, bytes);
  } else if (bits % 2 == 0) {
    copied = copy_units<uint16_t>(from, to, bytes);
  }
  copy_units<uint8_t>(from + copied, to + copied, bytes - copied);
}

// Each rank fetches what its peers have for it, beginning with the next one.
__global__ void __launch_bounds__(kDirectThreads)
    direct_kernel(const __grid_constant__ PeerView view,
                  const __grid_constant__ PeerMessages messages) {
  __shared__ Addresses told;
  const uint32_t epoch = this_epoch(view);
  const auto message_for = [&](int peer) {
    return static_cast<const std::byte*>(messages.send[peer]);
  };
  copy_message(message_for(view.rank), static_cast<std::byte*>(messages.receive[view.rank]),
               messages.receive_bytes[view.rank]);
  if (swap_addresses(view, epoch, message_for, nullptr, told)) {
    for (int distance = 1; distance < view.ranks; ++distance) {
      const int peer = (view.rank + distance) % view.ranks;
      copy_message(told.first[peer], static_cast<std::byte*>(messages.receive[peer]),
                   messages.receive_bytes[peer]);
    }
  }
  end_together(view, epoch);
  end_epoch(view, epoch);
}

}  // namespace

void load_exchanges() {
  load_kernel(flagged_kernel);
  load_kernel(direct_kernel);
}

void flagged_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                      const Launch& launch) {
  const int64_t words = std::max<int64_t>(1, (largest + 7) / 8);
  const unsigned blocks = blocks_for(words * (view.ranks - 1), kFlaggedThreads, kMostBlocks);
  flagged_kernel<<<blocks, kFlaggedThreads, 0, launch.stream>>>(view, messages, words);
  cuda_check(cudaGetLastError(), "starting an exchange");
}

void direct_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                     const Launch& launch) {
  const unsigned blocks = blocks_for(largest / 16, kDirectThreads, kDirectBlocks);
  direct_kernel<<<blocks, kDirectThreads, 0, launch.stream>>>(view, messages);
  cuda_check(cudaGetLastError(), "starting an exchange");
}

}  // namespace cleave::nccl
