// The memory through which the GPUs of a group reach each other directly.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "comm/nccl/memory.h"
#include "comm/nccl/peer_view.h"

namespace cleave::nccl {

// Functions may be called by several threads at once.
class PeerMemory {
 public:
  // `devices` are CUDA's numbers, by rank; `flagged_bytes` is what a rank may send in all in one
  // flagged epoch; `can_reach` says whether a device reaches the memory of another.
  PeerMemory(std::vector<int> devices, int64_t flagged_bytes,
             const std::function<bool(int from, int to)>& can_reach);
  ~PeerMemory();
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  // Whether every device reaches the memory of every other.
  bool reachable() const { return reachable_; }
  // Whether words of 16 bytes pass between them whole, which flagged epochs need.
  bool takes_flagged() const { return takes_flagged_; }

  // What device code of the rank needs. The first call makes the memory.
  const PeerView& view(int rank);

  // Makes all waits of kernels end, now and until `clear`.
  void stop() noexcept;
  // Back to the first epoch; no kernel uses the memory.
  void clear();

 private:
  void make();
  void say_stop(bool stop);

  const std::vector<int> devices_;
  const int64_t slot_bytes_;
  const bool reachable_;
  const bool takes_flagged_;
  std::mutex mutex_;
  std::atomic<bool> made_{false};
  bool stopped_ = false;
  std::vector<DeviceMemory> blocks_;
  std::vector<PeerView> views_;
  uint32_t* stop_ = nullptr;  // `stopped_` in the host's memory, where kernels see it
};

}  // namespace cleave::nccl
