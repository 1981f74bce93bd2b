// How kernels of several GPUs talk to each other through their memory (peer_view.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "comm/nccl/check.h"
#include "comm/nccl/peer_view.h"

namespace cleave::nccl {

// Polls between two looks at whether to stop: the flag is in the host's memory, which is far away.
inline constexpr int kPollsBetweenStops = 1024;

// ---- epochs ----

// The number of this epoch, never 0. Every thread asks once, at the start.
__device__ inline uint32_t this_epoch(const PeerView& view) {
  const auto* last = reinterpret_cast<const uint32_t*>(view.at[view.rank] + kEpochsAt);
  const uint32_t next = last[blockIdx.x] + 1;
  return next == 0 ? 1 : next;
}

// At the end, by all threads. A block keeps its own count, so that none waits for another; block 0
// counts for those that this kernel has not.
__device__ inline void end_epoch(const PeerView& view, uint32_t epoch) {
  __syncthreads();  // all threads have read the count
  auto* last = reinterpret_cast<uint32_t*>(view.at[view.rank] + kEpochsAt);
  if (threadIdx.x == 0) last[blockIdx.x] = epoch;
  if (blockIdx.x != 0) return;
  for (unsigned block = gridDim.x + threadIdx.x; block < kMostBlocks; block += blockDim.x) {
    last[block] = epoch;
  }
}

__device__ inline bool must_stop(const PeerView& view) {
  uint32_t stop;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(stop) : "l"(view.stop) : "memory");
  return stop != 0;
}

// ---- flagged words ----
//
// 8 bytes of payload in 16: two halves, each followed by the epoch's number. Stores of 8 bytes do
// not tear, so a half whose flag has come has come itself, whatever its bits. (The protocol that
// NCCL calls LL.)

struct FlaggedWord {
  uint32_t low, low_flag, high, high_flag;
  __device__ bool has_come(uint32_t epoch) const { return low_flag == epoch && high_flag == epoch; }
  __device__ uint64_t payload() const { return uint64_t{high} << 32 | low; }
};

__device__ inline void store_flagged(std::byte* to, uint64_t payload, uint32_t epoch) {
  asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to),
               "r"(static_cast<uint32_t>(payload)), "r"(epoch),
               "r"(static_cast<uint32_t>(payload >> 32)), "r"(epoch)
               : "memory");
}

__device__ inline FlaggedWord load_flagged(const std::byte* from) {
  FlaggedWord word;
  asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(word.low), "=r"(word.low_flag), "=r"(word.high), "=r"(word.high_flag)
               : "l"(from)
               : "memory");
  return word;
}

// Waits until the word has come: then it is what `from` holds. Once the group has to stop it may be
// another one, whose payload means nothing.
__device__ inline FlaggedWord wait_flagged(const PeerView& view, const std::byte* from,
                                           uint32_t epoch, FlaggedWord word) {
  int polls = 0;
  while (!word.has_come(epoch)) {
    if (++polls % kPollsBetweenStops == 0 && must_stop(view)) break;
    word = load_flagged(from);
  }
  return word;
}

// The slot in the memory of `owner` for what `source` sends in this epoch.
__device__ inline std::byte* slot(const PeerView& view, int owner, int source, uint32_t epoch) {
  const int64_t number = int64_t{epoch & 1} * view.ranks + source;
  return view.at[owner] + kSlotsAt + number * view.slot_bytes;
}

// ---- 8 bytes of memory that need not be aligned, or that end before ----

// The words of a message; an empty one is a word too, which says that its sender has come.
__device__ inline int64_t words_of(int64_t bytes) { return bytes == 0 ? 1 : (bytes + 7) / 8; }

__host__ __device__ inline bool aligned_to_words(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 8 == 0;
}

// `base` is aligned to 8 bytes where `aligned` says so.
__device__ inline uint64_t load_word(const std::byte* base, int64_t word, int64_t bytes,
                                     bool aligned) {
  const std::byte* from = base + word * 8;
  const int64_t left = bytes - word * 8;
  if (aligned && left >= 8) return *reinterpret_cast<const uint64_t*>(from);
  uint64_t value = 0;
  for (int i = 0; i < 8 && i < left; ++i) {
    value |= uint64_t{static_cast<uint8_t>(from[i])} << (8 * i);
  }
  return value;
}

__device__ inline void store_word(std::byte* base, int64_t word, int64_t bytes, bool aligned,
                                  uint64_t value) {
  std::byte* to = base + word * 8;
  const int64_t left = bytes - word * 8;
  if (aligned && left >= 8) {
    *reinterpret_cast<uint64_t*>(to) = value;
    return;
  }
  for (int i = 0; i < 8 && i < left; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

// ---- values ----

template <class To, class From>
__device__ To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// Past the L1 cache, which does not see what other GPUs write.
template <class T>
__device__ T load_uncached(const T* from) {
  if constexpr (sizeof(T) == 16) {
    return bits_as<T>(__ldcg(reinterpret_cast<const uint4*>(from)));
  } else if constexpr (sizeof(T) == 8) {
    return bits_as<T>(__ldcg(reinterpret_cast<const unsigned long long*>(from)));
  } else if constexpr (sizeof(T) == 4) {
    return bits_as<T>(__ldcg(reinterpret_cast<const unsigned*>(from)));
  } else if constexpr (sizeof(T) == 2) {
    return bits_as<T>(__ldcg(reinterpret_cast<const unsigned short*>(from)));
  } else {
    return bits_as<T>(__ldcg(reinterpret_cast<const unsigned char*>(from)));
  }
}

// ---- direct epochs ----

// What this thread has done and seen is before, or after, what other GPUs do that hear of it.
__device__ inline void fence() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }

// What ranks tell each other: where operands are. By rank, in shared memory.
struct Addresses {
  const std::byte* first[kMostPeers];
  std::byte* second[kMostPeers];
};

// Tells each peer `first(peer)` and `second`, and waits for theirs. By all threads; whether it may
// go on.
template <class First>
__device__ bool swap_addresses(const PeerView& view, uint32_t epoch, First&& first,
                               std::byte* second, Addresses& told) {
  const int peer = static_cast<int>(threadIdx.x);
  bool stopped = false;
  if (peer < view.ranks && peer != view.rank) {
    const auto place = [&](int owner, int source) {
      const int64_t number = int64_t{epoch & 1} * kMostPeers + source;
      return view.at[owner] + kAddressesAt + number * kAddressBytes;
    };
    if (blockIdx.x == 0) {
      fence();  // what the stream has done before is seen by whoever sees the addresses
      std::byte* const to = place(peer, view.rank);
      store_flagged(to, reinterpret_cast<uint64_t>(first(peer)), epoch);
      store_flagged(to + 16, reinterpret_cast<uint64_t>(second), epoch);
    }
    const std::byte* const from = place(view.rank, peer);
    FlaggedWord word = load_flagged(from);
    FlaggedWord next = load_flagged(from + 16);
    word = wait_flagged(view, from, epoch, word);
    next = wait_flagged(view, from + 16, epoch, next);
    told.first[peer] = reinterpret_cast<const std::byte*>(word.payload());
    told.second[peer] = reinterpret_cast<std::byte*>(next.payload());
    stopped = !word.has_come(epoch) || !next.has_come(epoch);
    fence();
  }
  return __syncthreads_or(stopped) == 0;
}

// Tells the peers that this block has ended its part, and waits until the same block of each has.
// By all threads.
__device__ inline void end_together(const PeerView& view, uint32_t epoch) {
  __syncthreads();
  const int peer = static_cast<int>(threadIdx.x);
  if (peer >= view.ranks || peer == view.rank) return;
  const auto place = [&](int owner, int source) {
    return view.at[owner] + kEndsAt + (int64_t{source} * kMostBlocks + blockIdx.x) * 4;
  };
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(place(peer, view.rank)), "r"(epoch)
               : "memory");
  const std::byte* const from = place(view.rank, peer);
  uint32_t ended = 0;
  int polls = 0;
  while (true) {
    asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(ended) : "l"(from) : "memory");
    if (ended == epoch) return;
    if (++polls % kPollsBetweenStops == 0 && must_stop(view)) return;
  }
}

// ---- starting kernels ----

inline constexpr int kFlaggedThreads = 256;
inline constexpr int kDirectThreads = 512;
// Enough loads in flight to fill the links of one GPU, and few enough to leave it room.
inline constexpr int kDirectBlocks = 64;

// Blocks of `threads` for so many pieces of work, at most `most`.
inline unsigned blocks_for(int64_t work, int threads, int most) {
  return static_cast<unsigned>(std::clamp<int64_t>((work + threads - 1) / threads, 1, most));
}

// Calls `visit(std::integral_constant<int, kRanks>{})` with a number that device code is made for.
template <class Visit>
void with_most_ranks(int ranks, Visit&& visit) {
  if (ranks <= 2) return visit(std::integral_constant<int, 2>{});
  visit(std::integral_constant<int, kMostPeers>{});
}

// Onto the current device.
template <class Kernel>
void load_kernel(Kernel* kernel) {
  cudaFuncAttributes attributes;
  cuda_check(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)),
             "loading device code");
}

}  // namespace cleave::nccl
