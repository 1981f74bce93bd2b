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

// The numbers of a rank's epochs. A block keeps its own count, so that none waits for another.
class EpochCount {
 public:
  // Before `await_stream`.
  __device__ explicit EpochCount(const PeerView& view)
      : last_(reinterpret_cast<uint32_t*>(view.at[view.rank] + kEpochsAt)) {
    work_out(last_);
  }

  // The number of this epoch, never 0. Reading it takes as long as reading what is to be sent: a
  // kernel asks for that first, so that it has both at once.
  __device__ uint32_t next() const {
    uint32_t last;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];"
                 : "=r"(last)
                 : "l"(last_ + blockIdx.x)
                 : "memory");
    return last + 1 == 0 ? 1 : last + 1;
  }

  // By all threads of a block that has asked for the number, once: when they have sent what they
  // have to, and before they wait for anybody. Block 0 counts for those that this kernel has not,
  // four in a store.
  __device__ void advance(uint32_t epoch) const {
    __syncthreads();  // all threads have read the count
    if (threadIdx.x == 0) last_[blockIdx.x] = epoch;
    if (blockIdx.x != 0) return;
    for (unsigned first = 4 * threadIdx.x; first < kMostBlocks; first += 4 * blockDim.x) {
      if (first >= gridDim.x) {
        *reinterpret_cast<uint4*>(last_ + first) = make_uint4(epoch, epoch, epoch, epoch);
        continue;
      }
      for (unsigned block = first; block < first + 4; ++block) {
        if (block >= gridDim.x) last_[block] = epoch;
      }
    }
  }

 private:
  uint32_t* last_;
};

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

// Tells each peer `first(peer)` and `second`, counts the epoch, and waits for theirs. By all
// threads; whether it may go on.
template <class First>
__device__ bool swap_addresses(const PeerView& view, const EpochCount& count, uint32_t epoch,
                               First&& first, std::byte* second, Addresses& told) {
  const int peer = static_cast<int>(threadIdx.x);
  const bool meets = peer < view.ranks && peer != view.rank;
  const auto place = [&](int owner, int source) {
    const int64_t number = int64_t{epoch & 1} * kMostPeers + source;
    return view.at[owner] + kAddressesAt + number * kAddressBytes;
  };
  if (meets && blockIdx.x == 0) {
    fence();  // what the stream has done before is seen by whoever sees the addresses
    std::byte* const to = place(peer, view.rank);
    FlaggedAddress(first(peer), epoch).store(to);
    FlaggedAddress(second, epoch).store(to + 16);
  }
  count.advance(epoch);
  bool stopped = false;
  if (meets) {
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
