// One rank's weights in its device's memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/device.h"
#include "cleave/runtime.h"
#include "runtime/engine_impl.h"

namespace cleave::runtime {

// Weights are loaded when they are first asked for and stay while anyone holds them: kernels that
// keep a packed copy let go of the original, and it is not there twice. Used by the rank's thread.
class WeightStore {
 public:
  WeightStore(std::shared_ptr<const EngineImpl> engine, int64_t rank, backend::Device& device);

  // Null data where the rank's share is empty. Error(kInvalid) where the engine is damaged,
  // Error(kOutOfMemory).
  std::shared_ptr<const backend::Buffer> get(size_t weight);
  // Its bytes for a kernel that makes a copy in an order of its own, before anything runs. Where
  // the device's memory is the host's they are not the device's to hold; else as `get`.
  std::shared_ptr<const std::byte> stage(size_t weight);
  int64_t rank() const { return rank_; }
  // All that was loaded so far; waits for what is on its way.
  WeightLoad loads();

 private:
  // The rank's bytes of the weight at `to`: memory of the device, or where that is the host's any
  // of the host's.
  void fill(size_t weight, std::byte* to);
  void upload(size_t weight, std::byte* to);
  void make(size_t weight, std::byte* to);

  std::shared_ptr<const EngineImpl> engine_;
  int64_t rank_;
  backend::Device& device_;
  std::vector<std::weak_ptr<const backend::Buffer>> loaded_;
  WeightLoad loads_;
};

}  // namespace cleave::runtime
