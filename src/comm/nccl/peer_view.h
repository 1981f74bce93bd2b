// Memory through which GPUs reach each other directly, as device code sees it.
//
// Every rank has a block of it on its device, which all ranks write to. A call of all ranks is an
// epoch; its number is kept on the devices, so that replayed calls count as well. In every epoch
// each rank hears from every other, whatever it carries. So a rank that is in epoch e knows that
// all have ended epoch e - 2: they have begun e - 1, and a kernel, though it may be started
// earlier, touches memory only when the one before it on its stream has ended (overlap.cuh). So two
// places for what is received, used in turn, are enough.
#pragma once

#include <cstddef>
#include <cstdint>

#include "comm/nccl/kernels.h"

namespace cleave::nccl {

// The largest group whose ranks reach each other directly: the GPUs of a host, as they are built.
inline constexpr int kMostPeers = 8;

// Blocks of a kernel that waits for its peers. A block sends before it waits, and waits for what
// the peers' blocks of its number and those before it send. GPUs start blocks in the order of their
// numbers, so that the first one that has not ended finds what it waits for, however many there is
// room for.
inline constexpr int kMostBlocks = 1024;

// A rank's block of memory, in bytes from its start:
// - the number of the last epoch, for each block of a kernel;
inline constexpr int64_t kEpochsAt = 0;
// - what a rank tells the others at the start of a direct epoch: two addresses, by parity of the
//   epoch and rank, each in a word (see peer.cuh);
inline constexpr int64_t kAddressesAt = kEpochsAt + kMostBlocks * 4;
inline constexpr int64_t kAddressBytes = 32;
// - the last direct epoch that a block of a rank has ended, by rank and block;
inline constexpr int64_t kEndsAt = kAddressesAt + 2 * kMostPeers * kAddressBytes;
// - slots for flagged words, by parity of the epoch and rank.
inline constexpr int64_t kSlotsAt = kEndsAt + int64_t{kMostPeers} * kMostBlocks * 4;

struct PeerView {
  int rank = 0;
  int ranks = 1;
  std::byte* at[kMostPeers] = {};  // the block of each rank
  int64_t slot_bytes = 0;          // of a slot; half of them at least are payload
  const uint32_t* stop = nullptr;  // in the host's memory: not 0 when waits have to end
};

// How a message lies in a tensor: rows of `run` bytes that begin `stride` bytes apart. One that is
// no longer than a row is one stretch; others have less than 2 GiB.
struct MessageRows {
  int64_t run = 0;
  int64_t stride = 0;
};

// What passes between this rank and a peer; what has no bytes may be null. What a rank has for
// itself is a copy.
struct PeerMessage {
  const void* send = nullptr;
  int64_t send_bytes = 0;
  MessageRows send_rows;
  void* receive = nullptr;
  int64_t receive_bytes = 0;
  MessageRows receive_rows;
  int64_t source_stride = 0;  // of what is received, in the peer's tensor
};

// By peer.
struct PeerMessages {
  PeerMessage of[kMostPeers];
};

// Loads all kernels below onto the current device. Otherwise the first start of each might wait for
// kernels that run there, which may be waiting for this rank.
void load_flagged_reduce();
void load_direct_reduce();
void load_scatter_reduce();
void load_exchanges();

// One epoch each. What a rank passes besides its own pointers must be the same on all ranks.
//
// Flagged: payload is pushed into the peers' slots in words that say themselves when they have
// come. The fastest way for what is small, at twice the traffic.
void flagged_all_reduce(const PeerView& view, const void* src, void* dst, int64_t count, DType type,
                        ReduceOp op, const Launch& launch);
// `largest` is the size of the largest message between any two ranks.
void flagged_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                      const Launch& launch);

// Each rank sends its term of every part, its own too, and reduces the terms of its part: `count`
// elements. Where the terms of a part are rows, they are so in all ranks' tensors.
void flagged_reduce_scatter(const PeerView& view, const PeerMessages& messages, void* dst,
                            int64_t count, int64_t largest, DType type, ReduceOp op,
                            const Launch& launch);

// Direct: ranks tell each other where their operands are, and then read and write them there.
// Operands are memory of cudaMalloc.
void direct_all_reduce(const PeerView& view, const void* src, void* dst, int64_t count, DType type,
                       ReduceOp op, const Launch& launch);
void direct_exchange(const PeerView& view, const PeerMessages& messages, int64_t largest,
                     const Launch& launch);

void direct_reduce_scatter(const PeerView& view, const PeerMessages& messages, void* dst,
                           int64_t count, int64_t largest, DType type, ReduceOp op,
                           const Launch& launch);

}  // namespace cleave::nccl
