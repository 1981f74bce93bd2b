// How kernels of several GPUs talk to each other through their memory (peer_view.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "comm/nccl/check.h"
#include "comm/nccl/overlap.cuh"
#include "comm/nccl/peer_view.h"

namespace cleave::nccl {

// Polls between two looks at whether to stop: the flag is in the host's memory, which is far away.
inline constexpr int kPollsBetweenStops = 1024;

// ---- epochs ----

// The number of this epoch, never 0. Every thread asks once, at the start. A block keeps its own
// count, so that none waits for another; block 0 counts for those that this kernel has not, four in
// a store. It does so before it waits for anybody: a kernel that ends with less is over sooner.
__device__ inline uint32_t this_epoch(const PeerView& view) {
  auto* last = reinterpret_cast<uint32_t*>(view.at[view.rank] + kEpochsAt);
  const uint32_t next = last[blockIdx.x] + 1;
  const uint32_t epoch = next == 0 ? 1 : next;
  if (blockIdx.x != 0) return epoch;
  for (unsigned first = 4 * threadIdx.x; first < kMostBlocks; first += 4 * blockDim.x) {
    if (first >= gridDim.x) {
      *reinterpret_cast<uint4*>(last + first) = make_uint4(epoch, epoch, epoch, epoch);
      continue;
    }
    for (unsigned block = first; block < first + 4; ++block) {
      if (block >= gridDim.x) last[block] = epoch;
    }
  }
  return epoch;
}

// At the end, by all threads.
__device__ inline void end_epoch(const PeerView& view, uint32_t epoch) {
  __syncthreads();  // all threads have read the count
  auto* last = reinterpret_cast<uint32_t*>(view.at[view.rank] + kEpochsAt);
  if (threadIdx.x == 0) last[blockIdx.x] = epoch;
}

__device__ inline bool must_stop(const PeerView& view) {
  uint32_t stop;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(stop) : "l"(view.stop) : "memory");
  return stop != 0;
}

// ---- flagged words ----
//
// Data that says itself when it has come: it travels with the number of its epoch, in accesses that
// do not tear.

// Waits until the word has come: then it is what `from` holds. Once the group has to stop it may be
// another one, whose payload means nothing.
template <class Word>
__device__ Word wait_for(const PeerView& view, const std::byte* from, uint32_t epoch, Word word) {
  int polls = 0;
  while (!word.has_come(epoch)) {
    if (++polls % kPollsBetweenStops == 0 && must_stop(view)) break;
    word = Word::load(from);
  }
  return word;
}

struct Payload {
  uint32_t at[3];
};

// 12 bytes of payload in 16. Between GPUs with native atomics a scalar access of 16 bytes is atomic
// (CUDA C++ memory model, atomicity), so that the payload has come if its number has, whatever its
// bits. All words in slots are of this kind: what is left of an old one never looks like a new one.
struct FlaggedWord {
  Payload payload;
  uint32_t epoch;

  __device__ bool has_come(uint32_t wanted) const { return epoch == wanted; }
  __device__ void store(std::byte* to) const {
    asm volatile(
        "{\n\t"
        ".reg .b64 low, high;\n\t"
        ".reg .b128 word;\n\t"
        "mov.b64 low, {%1, %2};\n\t"
        "mov.b64 high, {%3, %4};\n\t"
        "mov.b128 word, {low, high};\n\t"
        "st.relaxed.sys.global.b128 [%0], word;\n\t"
        "}" ::"l"(to),
        "r"(payload.at[0]), "r"(payload.at[1]), "r"(payload.at[2]), "r"(epoch)
        : "memory");
  }
  __device__ static FlaggedWord load(const std::byte* from) {
    FlaggedWord word;
    asm volatile(
        "{\n\t"
        ".reg .b64 low, high;\n\t"
        ".reg .b128 word;\n\t"
        "ld.relaxed.sys.global.b128 word, [%4];\n\t"
        "mov.b128 {low, high}, word;\n\t"
        "mov.b64 {%0, %1}, low;\n\t"
        "mov.b64 {%2, %3}, high;\n\t"
        "}"
        : "=r"(word.payload.at[0]), "=r"(word.payload.at[1]), "=r"(word.payload.at[2]),
          "=r"(word.epoch)
        : "l"(from)
        : "memory");
    return word;
  }
};

// An address in 16 bytes: two halves, each followed by the number of its epoch. Accesses of 8 bytes
// do not tear between any GPUs. (The protocol that NCCL calls LL.)
struct FlaggedAddress {
  uint32_t low, low_epoch, high, high_epoch;

  FlaggedAddress() = default;
  __device__ FlaggedAddress(const void* address, uint32_t epoch)
      : low(static_cast<uint32_t>(reinterpret_cast<uint64_t>(address))),
        low_epoch(epoch),
        high(static_cast<uint32_t>(reinterpret_cast<uint64_t>(address) >> 32)),
        high_epoch(epoch) {}
  __device__ bool has_come(uint32_t wanted) const {
    return low_epoch == wanted && high_epoch == wanted;
  }
  __device__ std::byte* address() const {
    return reinterpret_cast<std::byte*>(uint64_t{high} << 32 | low);
  }
  __device__ void store(std::byte* to) const {
    asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(low),
                 "r"(low_epoch), "r"(high), "r"(high_epoch)
                 : "memory");
  }
  __device__ static FlaggedAddress load(const std::byte* from) {
    FlaggedAddress word;
    asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(word.low), "=r"(word.low_epoch), "=r"(word.high), "=r"(word.high_epoch)
                 : "l"(from)
                 : "memory");
    return word;
  }
};

// The slot in the memory of `owner` for what `source` sends in this epoch.
__device__ inline std::byte* slot(const PeerView& view, int owner, int source, uint32_t epoch) {
  std::byte* const even = view.at[owner] + kSlotsAt + source * view.slot_bytes;
  return (epoch & 1) != 0 ? even + view.ranks * view.slot_bytes : even;
}

// ---- payloads: memory that need not be aligned, or that ends before ----

// What a word carries of elements of a type: whole ones.
template <class T>
constexpr int kPayloadBytes = sizeof(T) == 8 ? 8 : 12;

// The words of a message; an empty one is a word too, which says that its sender has come.
template <class T = std::byte>
__host__ __device__ int64_t words_of(int64_t bytes) {
  return bytes == 0 ? 1 : (bytes + kPayloadBytes<T> - 1) / kPayloadBytes<T>;
}

__host__ __device__ inline bool aligned_to_words(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 4 == 0;
}

// `base` is aligned to 4 bytes where `aligned` says so. Bytes behind the end are 0.
template <class T = std::byte>
__device__ Payload load_payload(const std::byte* base, int64_t word, int64_t bytes, bool aligned) {
  constexpr int kBytes = kPayloadBytes<T>;
  const std::byte* from = base + word * kBytes;
  const int64_t left = bytes - word * kBytes;
  Payload payload = {};
  if (aligned && left >= kBytes) {
#pragma unroll
    for (int i = 0; i < kBytes / 4; ++i) {
      payload.at[i] = reinterpret_cast<const uint32_t*>(from)[i];
    }
    return payload;
  }
#pragma unroll
  for (int i = 0; i < kBytes; ++i) {
    if (i < left) payload.at[i / 4] |= uint32_t{static_cast<uint8_t>(from[i])} << (8 * (i % 4));
  }
  return payload;
}

template <class T = std::byte>
__device__ void store_payload(std::byte* base, int64_t word, int64_t bytes, bool aligned,
                              const Payload& payload) {
  constexpr int kBytes = kPayloadBytes<T>;
  std::byte* to = base + word * kBytes;
  const int64_t left = bytes - word * kBytes;
  if (aligned && left >= kBytes) {
#pragma unroll
    for (int i = 0; i < kBytes / 4; ++i) reinterpret_cast<uint32_t*>(to)[i] = payload.at[i];
    return;
  }
#pragma unroll
  for (int i = 0; i < kBytes; ++i) {
    if (i < left) to[i] = static_cast<std::byte>(payload.at[i / 4] >> (8 * (i % 4)));
  }
}

// The elements that a payload carries, and back.
template <class Elements>
__device__ Elements elements_of(const Payload& payload) {
  static_assert(sizeof(Elements) <= sizeof payload);
  Elements elements;
  memcpy(&elements, &payload, sizeof elements);
  return elements;
}
template <class Elements>
__device__ Payload payload_of(const Elements& elements) {
  static_assert(sizeof(Elements) <= sizeof(Payload));
  Payload payload = {};
  memcpy(&payload, &elements, sizeof elements);
  return payload;
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
      FlaggedAddress(first(peer), epoch).store(to);
      FlaggedAddress(second, epoch).store(to + 16);
    }
    const std::byte* const from = place(view.rank, peer);
    FlaggedAddress one = FlaggedAddress::load(from);
    FlaggedAddress other = FlaggedAddress::load(from + 16);
    one = wait_for(view, from, epoch, one);
    other = wait_for(view, from + 16, epoch, other);
    told.first[peer] = one.address();
    told.second[peer] = other.address();
    stopped = !one.has_come(epoch) || !other.has_come(epoch);
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
inline Grid grid_for(int64_t work, int threads, int most) {
  return {static_cast<unsigned>(std::clamp<int64_t>((work + threads - 1) / threads, 1, most)),
          threads};
}

// Blocks that do something else than to exchange; kernels have them besides.
inline constexpr int kMostOwnBlocks = 64;

// A thread for each word, as far as blocks go.
inline Grid flagged_grid(int64_t words) {
  return grid_for(words, kFlaggedThreads, kMostBlocks - kMostOwnBlocks);
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
