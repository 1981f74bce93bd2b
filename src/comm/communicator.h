// Communicator: one rank's end of a group of ranks, and the collectives they run together.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "cleave/error.h"
#include "comm/shard_map.h"
#include "types/dtype.h"
#include "types/reduce_op.h"

namespace cleave {

// Terms of a reduction are combined by a ReduceOp. On booleans sum and max are "or", min and prod
// "and". Integers wrap around; max and min give NaN where any term is NaN.
const char* to_string(ReduceOp op);

// The stream that a collective is put on, as its backend knows it (a cudaStream_t for CUDA).
// Communicators between CPU devices ignore it: their calls have completed when they return.
struct StreamHandle {
  void* native = nullptr;
};

// "Nobody" as the partner of a permute.
inline constexpr int kNoRank = -1;

// One rank's end of a group. A collective is called by every rank of the group, in the same order
// and with matching arguments (the same map, count, type, operator, root); each rank passes
// pointers to its own memory. Counts are in elements. A pointer may be null where the rank's part
// is empty. Unless said otherwise source and destination do not overlap.
//
// Collectives on a stream are asynchronous: a call may return, or throw, before the others have
// come, and `wait` throws what happens later.
//
// Results are the same bits on every rank and in every run: terms are combined in the order of
// ranks 0, 1, ..., N-1; float16 and bfloat16 terms are accumulated in float32 and rounded once.
//
// Threads: an object is used by one thread at a time, except `abort` and `recover`, which any
// thread may call.
//
// Errors: a failed rank calls `abort`; then every call of every rank, those waiting included,
// throws Error(kDevice) that names the failed rank. So does a rank that arrives later than the
// lateness limit, and a call that does not match that of the other ranks. When a call has thrown,
// no other rank reads or writes this rank's buffers any more. The group stays failed until every
// rank has called `recover`.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // dst[i] = src of rank 0 [i] op src of rank 1 [i] op ...; `dst` may be `src`.
  virtual void all_reduce(const void* src, void* dst, int64_t count, DType type, ReduceOp op,
                          StreamHandle stream = {}) = 0;

  // Every rank ends with the whole tensor in `dst`; `src` holds this rank's pieces. Elements that
  // several ranks hold are taken from this rank's own copy, else from the lowest rank's; elements
  // that none holds are an error. A piece of `src` may be the very place in `dst` where it belongs.
  virtual void all_gather(const void* src, void* dst, const ShardMap& map, DType type,
                          StreamHandle stream = {}) = 0;

  // `src` is this rank's term of the whole tensor; `dst` receives this rank's pieces of the
  // reduced one. Elements that several ranks hold are given to each of them.
  virtual void reduce_scatter(const void* src, void* dst, const ShardMap& map, DType type,
                              ReduceOp op, StreamHandle stream = {}) = 0;

  // Brings a tensor of `shape` from the boxes of `src_map` to those of `dst_map` (an all-to-all in
  // general). Elements that several ranks hold are taken from this rank's own copy, else from the
  // lowest rank's; a wanted element that none holds is an error.
  virtual void redistribute(const void* src, const BoxMap& src_map, void* dst,
                            const BoxMap& dst_map, std::span<const int64_t> shape, DType type,
                            StreamHandle stream = {}) = 0;

  // Copies the `count` elements at `data` of `root` to `data` of every other rank.
  virtual void broadcast(void* data, int64_t count, DType type, int root,
                         StreamHandle stream = {}) = 0;

  // Sends `send_count` elements to rank `to` and receives `receive_count` from rank `from`; either
  // may be kNoRank, or this rank itself. Every rank of the group calls; what a rank receives must
  // be what its partner sends. `to` and `from` may differ from rank to rank.
  virtual void permute(const void* src, int64_t send_count, int to, void* dst,
                       int64_t receive_count, int from, DType type, StreamHandle stream = {}) = 0;

  // What is put on the stream behind it starts when every rank has come this far. Without streams
  // it returns then.
  virtual void barrier(StreamHandle stream = {}) = 0;

  // Waits until all that was put on the stream is done, as Device::synchronize does, and gives up
  // where the group has failed. Not a collective.
  virtual void wait(StreamHandle stream = {}) = 0;

  // Collective: the group of those ranks that pass the same `color`, ordered by `key`, then by
  // rank here; null where `color` is negative. The sub-group shares the failure state of this
  // group: what fails in one fails all, and errors name ranks of the outermost group.
  virtual std::unique_ptr<Communicator> split(int color, int key) = 0;

  // Declares this rank failed, for the reason `why`. Returns at once; the first failure counts.
  virtual void abort(const Error& why) noexcept = 0;

  // Called once by (or on behalf of) every rank after a failure, when the rank has no call under
  // way or its call is about to throw. The group works again when the last rank has called.
  // Without a failure it does nothing. Sub-groups recover with the group that they came from.
  virtual void recover() = 0;

  // How long a rank waits for the others before the group fails because one is late; zero waits
  // for ever. Holds for the group and all that share its failure state.
  virtual void set_lateness_limit(std::chrono::milliseconds limit) = 0;
};

}  // namespace cleave
