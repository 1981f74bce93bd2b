// What follows a convolution in channels-last images: the chain of element-wise operations on all
// channels of some places.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "backend/cpu/chain.h"
#include "backend/kernel.h"

namespace cleave::backend {

class PlaceEpilogue {
 public:
  static std::optional<std::string> refuses(const KernelProblem& problem) {
    return Chain::refuses(problem, DType::kFloat32);
  }
  explicit PlaceEpilogue(const KernelProblem& problem);

  // Sums of float32 are computed in the result itself: there `run` has nothing to move.
  bool in_place() const { return in_place_; }
  // Scratch memory that `run` needs; 64 bytes aligned.
  int64_t scratch_bytes() const { return scratch_bytes_; }
  // The sums of channels [channel, channel + channels) of `count` places from `place` on in the
  // order of memory; those of a place lie one behind the other, places `step` apart.
  void run(const float* sums, int64_t step, int64_t image, int64_t place, int64_t count,
           int64_t channel, int64_t channels, std::span<const void* const> inputs,
           std::span<void* const> outputs, std::byte* scratch) const;

 private:
  // How an operand lies: as the result does, one element for all places of a channel, one for all
  // of an image, or any way.
  enum class Kind { kLinear, kChannel, kImage, kAny };
  struct Operand {
    Kind kind = Kind::kAny;
    std::vector<int64_t> strides;  // along the result's dimensions
    int64_t bytes = 4;             // of an element
    int64_t scratch = 0;           // of kChannel: where its elements are repeated
  };
  int64_t offset(const Operand& operand, int64_t image, int64_t place) const;

  Chain chain_;
  std::vector<int64_t> shape_;     // of the result
  std::vector<Operand> operands_;  // inputs, then results
  size_t inputs_;
  int64_t channels_;
  int64_t run_places_ = 1;  // that the chain takes at once
  bool linear_ = true;      // it can
  bool in_place_ = false;
  bool done_in_place_ = false;  // and there is no chain
  int64_t scratch_bytes_ = 0;
};

}  // namespace cleave::backend
