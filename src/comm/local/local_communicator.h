// One rank's end of a group of threads of one process.
#pragma once

#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "comm/local/rendezvous.h"
#include "comm/step_cache.h"

namespace cleave {

class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(std::shared_ptr<Rendezvous> rendezvous, int rank);

  int rank() const override { return rank_; }
  int size() const override { return rendezvous_->size(); }

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
  void wait(StreamHandle) override {}  // calls have completed when they return
  std::unique_ptr<Communicator> split(int color, int key) override;
  void abort(const Error& why) noexcept override;
  void recover() override;
  void set_lateness_limit(std::chrono::milliseconds limit) override;

 private:
  // Runs the body of a call; when it fails, so does the group.
  template <class Body>
  void call(Body&& body);
  int outer_rank() const { return rendezvous_->outer_rank(rank_); }

  // The parts of an all_reduce that is too large to be copied.
  void reduce_slices(int64_t count, int64_t element_size, DType type, ReduceOp op);
  // What each rank posted as its source, for a ReduceFunction.
  const void* const* collect_terms();
  void copy_steps(const std::vector<CopyStep>& steps, void* dst, int64_t element_size);
  void match_partners();

  const std::shared_ptr<Rendezvous> rendezvous_;
  const int rank_;
  StepCache cache_;
  std::vector<const void*> terms_;  // scratch of collect_terms
};

}  // namespace cleave
