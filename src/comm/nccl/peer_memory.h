// The memory through which the GPUs of a group reach each other directly.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "comm/nccl/memory.h"
#include "comm/nccl/peer_view.h"

namespace cleave::nccl {

// A block of memory on each device, and the word that ends waits.
struct PeerBlocks {
  PeerBlocks() = default;
  PeerBlocks(const PeerBlocks&) = delete;
  PeerBlocks& operator=(const PeerBlocks&) = delete;
  ~PeerBlocks();

  std::vector<DeviceMemory> blocks;  // by rank
  uint32_t* stop = nullptr;          // in the host's memory, where kernels see it
};

// Blocks of groups that are gone, for the next ones of the same devices: making them takes long, as
// each device has to be given access. Functions may be called by several threads at once.
class PeerStore {
 public:
  // Null where there are none.
  std::unique_ptr<PeerBlocks> take(const std::vector<int>& devices, int64_t slot_bytes);
  // No kernel uses them, and all ranks are in the same epoch.
  void put_back(const std::vector<int>& devices, int64_t slot_bytes,
                std::unique_ptr<PeerBlocks> blocks);
  size_t size() const;

 private:
  static constexpr size_t kMost = 4;  // the one put back longest ago goes first
  struct Kept {
    std::vector<int> devices;
    int64_t slot_bytes;
    std::unique_ptr<PeerBlocks> blocks;
  };
  mutable std::mutex mutex_;
  std::vector<Kept> kept_;
};

// Functions may be called by several threads at once.
class PeerMemory {
 public:
  // `devices` are CUDA's numbers, by rank; `flagged_bytes` is what a rank may send in all in one
  // flagged epoch; `can_reach` says whether a device reaches the memory of another. `store` may be
  // null.
  PeerMemory(std::vector<int> devices, int64_t flagged_bytes,
             const std::function<bool(int from, int to)>& can_reach,
             std::shared_ptr<PeerStore> store);
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
  // Leaves the memory to the next group; no kernel uses it, all ranks are in the same epoch, and it
  // is not used here any more.
  void leave();

 private:
  void make();
  std::unique_ptr<PeerBlocks> new_blocks() const;
  void say_stop(bool stop);

  const std::vector<int> devices_;
  const int64_t slot_bytes_;
  const bool reachable_;
  const bool takes_flagged_;
  const std::shared_ptr<PeerStore> store_;
  std::mutex mutex_;
  std::atomic<bool> made_{false};
  bool stopped_ = false;
  std::unique_ptr<PeerBlocks> memory_;
  std::vector<PeerView> views_;
};

}  // namespace cleave::nccl
