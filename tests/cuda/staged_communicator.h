// A communicator of GPUs as one of the host's memory: each call copies its operands to the device,
// runs there, waits, and copies what came out back.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "comm/communicator.h"
#include "tests/cuda/gpus.h"

namespace cleave::conformance {

class StagedCommunicator final : public Communicator {
 public:
  StagedCommunicator(std::unique_ptr<Communicator> device, std::shared_ptr<Stream> stream)
      : stream_(std::move(stream)), end_(std::move(device)) {}
  ~StagedCommunicator() override { cudaSetDevice(stream_->device()); }

  int rank() const override { return end_->rank(); }
  int size() const override { return end_->size(); }

  void all_reduce(const void* src, void* dst, int64_t count, DType type, ReduceOp op,
                  StreamHandle) override {
    const int64_t bytes = size_in_bytes(count, type);
    run(src, bytes, dst, bytes,
        [&](const void* from, void* to) { end_->all_reduce(from, to, count, type, op, handle()); });
  }
  void all_gather(const void* src, void* dst, const ShardMap& map, DType type,
                  StreamHandle) override {
    run(src, shard_bytes(map, type), dst, size_in_bytes(map.elements(), type),
        [&](const void* from, void* to) { end_->all_gather(from, to, map, type, handle()); });
  }
  void reduce_scatter(const void* src, void* dst, const ShardMap& map, DType type, ReduceOp op,
                      StreamHandle) override {
    run(src, size_in_bytes(map.elements(), type), dst, shard_bytes(map, type),
        [&](const void* from, void* to) {
          end_->reduce_scatter(from, to, map, type, op, handle());
        });
  }
  void redistribute(const void* src, const BoxMap& src_map, void* dst, const BoxMap& dst_map,
                    std::span<const int64_t> shape, DType type, StreamHandle) override {
    run(src, boxes_bytes(src_map, type), dst, boxes_bytes(dst_map, type),
        [&](const void* from, void* to) {
          end_->redistribute(from, src_map, to, dst_map, shape, type, handle());
        });
  }
  void broadcast(void* data, int64_t count, DType type, int root, StreamHandle) override {
    run(nullptr, 0, data, size_in_bytes(count, type),
        [&](const void*, void* to) { end_->broadcast(to, count, type, root, handle()); });
  }
  void permute(const void* src, int64_t send_count, int to, void* dst, int64_t receive_count,
               int from, DType type, StreamHandle) override {
    run(src, to == kNoRank ? 0 : size_in_bytes(send_count, type), dst,
        from == kNoRank ? 0 : size_in_bytes(receive_count, type), [&](const void* s, void* d) {
          end_->permute(s, send_count, to, d, receive_count, from, type, handle());
        });
  }
  void barrier(StreamHandle) override {
    stream_->make_current();
    end_->barrier(handle());
    end_->wait(handle());
  }
  void wait(StreamHandle) override {}
  std::unique_ptr<Communicator> split(int color, int key) override {
    stream_->make_current();
    auto part = end_->split(color, key);
    if (!part) return nullptr;
    return std::make_unique<StagedCommunicator>(std::move(part), stream_);
  }
  void abort(const Error& why) noexcept override { end_->abort(why); }
  void recover() override { end_->recover(); }
  void set_lateness_limit(std::chrono::milliseconds limit) override {
    end_->set_lateness_limit(limit);
  }

 private:
  using Call = std::function<void(const void* src, void* dst)>;

  StreamHandle handle() const { return {stream_->get()}; }

  // Operands of calls that are invalid, and throw, have no size.
  static int64_t size_in_bytes(int64_t count, DType type) {
    constexpr int64_t kMost = int64_t{1} << 30;
    return count < 0 || count > kMost ? 0 : count * static_cast<int64_t>(size_of(type));
  }
  int64_t shard_bytes(const ShardMap& map, DType type) const {
    const auto ranks = static_cast<int>(map.pieces.size());
    return rank() < ranks ? size_in_bytes(map.local_elements(rank()), type) : 0;
  }
  int64_t boxes_bytes(const BoxMap& map, DType type) const {
    const LocalBoxes& own = map.ranks[static_cast<size_t>(rank())];
    int64_t count = own.boxes.empty() ? 0 : 1;
    for (const int64_t extent : own.shape) {
      count = extent > (int64_t{1} << 20) ? 0 : count * extent;
    }
    return size_in_bytes(count, type);
  }

  // Operands keep their distance and their alignment to 64 bytes; null stays null.
  void run(const void* src, int64_t src_bytes, void* dst, int64_t dst_bytes, const Call& call) {
    stream_->make_current();
    const auto* from = static_cast<const std::byte*>(src);
    auto* to = static_cast<std::byte*>(dst);
    const auto shift = [](const void* p) {
      return static_cast<int64_t>(reinterpret_cast<uintptr_t>(p) % 64);
    };
    if (from == nullptr) src_bytes = 0;
    if (to == nullptr) dst_bytes = 0;
    std::byte* const result = dst_.fill(to, dst_bytes, shift(to), stream_->get());
    const bool within = to != nullptr && from >= to && from < to + dst_bytes;
    const std::byte* const operand =
        within ? result + (from - to) : src_.fill(from, src_bytes, shift(from), stream_->get());
    call(from == nullptr ? nullptr : operand, to == nullptr ? nullptr : result);
    end_->wait(handle());
    if (dst_bytes > 0) {
      require(cudaMemcpyAsync(to, result, static_cast<size_t>(dst_bytes), cudaMemcpyDeviceToHost,
                              stream_->get()));
    }
    require(cudaStreamSynchronize(stream_->get()));
    EXPECT_TRUE(dst_.intact(stream_->get())) << "memory behind the destination was written";
  }

  const std::shared_ptr<Stream> stream_;
  const std::unique_ptr<Communicator> end_;
  GuardedMemory src_;
  GuardedMemory dst_;
};

// The ends of a group of GPUs, each behind such a communicator.
inline std::vector<std::unique_ptr<Communicator>> staged(
    std::vector<std::unique_ptr<Communicator>> ends, const std::vector<int>& devices) {
  std::vector<std::unique_ptr<Communicator>> group;
  for (size_t rank = 0; rank < ends.size(); ++rank) {
    group.push_back(std::make_unique<StagedCommunicator>(std::move(ends[rank]),
                                                         std::make_shared<Stream>(devices[rank])));
  }
  return group;
}

}  // namespace cleave::conformance
