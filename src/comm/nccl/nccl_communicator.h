// One rank's end of a group of GPUs of one process.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <span>
#include <vector>

#include "comm/communicator.h"
#include "comm/nccl/group.h"
#include "comm/nccl/kernels.h"
#include "comm/nccl/memory.h"
#include "comm/nccl/pace.h"
#include "comm/nccl/plan_cache.h"

namespace cleave::nccl {

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::shared_ptr<Group> group, int rank);
  ~NcclCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }

  void all_reduce(const void* src, void* dst, int64_t count, DType type, ReduceOp op,
                  StreamHandle stream) override;
  void all_gather(const void* src, void* dst, const ShardMap& map, DType type,
                  StreamHandle stream) override;
  void reduce_scatter(const void* src, void* dst, const ShardMap& map, DType type, ReduceOp op,
                      StreamHandle stream) override;
  void redistribute(const void* src, const BoxMap& src_map, void* dst, const BoxMap& dst_map,
                    std::span<const int64_t> shape, DType type, StreamHandle stream) override;
  void broadcast(void* data, int64_t count, DType type, int root, StreamHandle stream) override;
  void permute(const void* src, int64_t send_count, int to, void* dst, int64_t receive_count,
               int from, DType type, StreamHandle stream) override;
  void barrier(StreamHandle stream) override;
  void wait(StreamHandle stream) override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  void abort(const Error& why) noexcept override;
  void recover() override;
  void set_lateness_limit(std::chrono::milliseconds limit) override;

 private:
  // What passes between this rank and a peer.
  struct Transfer {
    int peer = 0;
    PeerMessage message;
  };
  // Of one stretch each way.
  static Transfer stretch(int peer, const void* send, int64_t send_bytes, void* receive,
                          int64_t receive_bytes) {
    return {peer,
            {.send = send,
             .send_bytes = send_bytes,
             .send_rows = {send_bytes, 0},
             .receive = receive,
             .receive_bytes = receive_bytes,
             .receive_rows = {receive_bytes, 0}}};
  }

  // Runs the body of a call; when it fails, so does the group.
  template <class Body>
  void call(Body&& body);
  // The part of a call that puts work on the stream.
  template <class Work>
  void enqueue(StreamHandle stream, Work&& work);

  int outer_rank() const { return group_->outer_rank(rank_); }
  // Sends and receives at once. Every rank calls with the same route; `largest` is the size of the
  // largest message between any two ranks.
  void transfer(std::span<const Transfer> transfers, Route route, int64_t largest,
                const Launch& launch);
  void transfer_by_nccl(std::span<const Transfer> transfers, cudaStream_t stream);
  void exchange(const PlacedExchange& placed, const void* src, void* dst, const Launch& launch);
  void scatter(const PlacedScatter& placed, const void* src, void* dst, DType type, ReduceOp op,
               const Launch& launch);
  void reduce(const void* src, void* dst, int64_t count, DType type, ReduceOp op,
              const Launch& launch);
  // The ways of an all_reduce; see nccl_reduce.cc.
  void reduce_gathered(const void* src, void* dst, int64_t count, DType type, ReduceOp op,
                       const Launch& launch);
  void reduce_slices(const std::byte* src, std::byte* dst, int64_t count, DType type, ReduceOp op,
                     const Launch& launch);

  const std::shared_ptr<Group> group_;
  const int rank_;
  int multiprocessors_ = 1;
  bool overlaps_ = false;
  PlanCache plans_;
  Staging staging_;
  Pace pace_;
};

}  // namespace cleave::nccl
