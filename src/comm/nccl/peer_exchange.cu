// Messages between GPUs that reach each other's memory.
#include <algorithm>

#include "comm/nccl/check.h"
#include "comm/nccl/peer.cuh"

namespace cleave::nccl {
namespace {

// Threads send all they have to before they wait.
__global__ void __launch_bounds__(kFlaggedThreads)
    flagged_kernel(const __grid_constant__ PeerView view,
                   const __grid_constant__ PeerMessages messages) {
  await_stream();
  const uint32_t epoch = this_epoch(view);
  const int64_t step = int64_t{gridDim.x} * kFlaggedThreads;
  const int64_t first = int64_t{blockIdx.x} * kFlaggedThreads + threadIdx.x;
  const auto payload_for = [&](int peer, int64_t word) {
    const auto* from = static_cast<const std::byte*>(messages.send[peer]);
    return load_payload(from, word, messages.send_bytes[peer], aligned_to_words(from));
  };
  const auto store = [&](int peer, int64_t word, const Payload& payload) {
    auto* to = static_cast<std::byte*>(messages.receive[peer]);
    store_payload(to, word, messages.receive_bytes[peer], aligned_to_words(to), payload);
  };
  for (int distance = 1; distance < view.ranks; ++distance) {
    const int peer = (view.rank + distance) % view.ranks;
    std::byte* const to = slot(view, peer, view.rank, epoch);
    for (int64_t word = first; word < words_of(messages.send_bytes[peer]); word += step) {
      FlaggedWord{payload_for(peer, word), epoch}.store(to + word * 16);
    }
  }
  if (messages.receive_bytes[view.rank] > 0) {
    for (int64_t word = first; word < words_of(messages.receive_bytes[view.rank]); word += step) {
      store(view.rank, word, payload_for(view.rank, word));
    }
  }
  for (int distance = 1; distance < view.ranks; ++distance) {
    const int peer = (view.rank + distance) % view.ranks;
    const std::byte* const from = slot(view, view.rank, peer, epoch);
    for (int64_t word = first; word < words_of(messages.receive_bytes[peer]); word += step) {
      const std::byte* const place = from + word * 16;
      store(peer, word, wait_for(view, place, epoch, FlaggedWord::load(place)).payload);
    }
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
  await_stream();
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
  start_kernel(flagged_kernel, flagged_grid(words_of(largest)), launch, "starting an exchange",
               view, messages);
}

void direct_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                     const Launch& launch) {
  start_kernel(direct_kernel, grid_for(largest / 16, kDirectThreads, kDirectBlocks), launch,
               "starting an exchange", view, messages);
}

}  // namespace cleave::nccl
