// TrialOperands: what kernels are timed on.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// Operands of one problem that take turns. Constants, so that each call finds them in memory and
// not in cache, as in a network of many weights; the others, so that it finds them where an arena
// has what a kernel before has written, in a shared cache rather than in the core's own. Kernels
// that are timed against each other share them, and each call of any has the next turn: none finds
// what another has just read. Used by one thread.
class TrialOperands {
 public:
  // The constants of `problem` are the inputs that have a key; its data is not used. Integer inputs
  // hold numbers below `index_extent`; where that is over 1, input 0 is a table that is read in
  // part, and there once. Error(kOutOfMemory).
  TrialOperands(const KernelProblem& problem, Device& device, int64_t index_extent = 1);

  // Of one call.
  struct Turn {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    std::vector<std::span<std::byte>> written;  // inputs that a kernel before has written
  };
  // Of the next call, and which copy of the constants it uses.
  Turn& next() { return turns_[calls_ % turns_.size()]; }
  size_t next_copy() const { return calls_ % copies_; }
  void advance() { ++calls_; }

  size_t turns() const { return turns_.size(); }
  size_t copies() const { return copies_; }  // of the constants
  // The data of a constant in one of the copies, which is made when it is first asked for: a kernel
  // that repacks its constants reads the first alone. Error(kOutOfMemory).
  const void* constant(size_t input, size_t copy);
  Device& device() { return device_; }

 private:
  struct Constant {
    int64_t bytes;  // 0: it is none
    int64_t alignment;
  };

  // Aligned to no more than is said: what kernels have for such operands is what is timed.
  std::byte* memory(int64_t bytes, int64_t alignment, const char* what);
  void add_turn(const KernelProblem& problem, int64_t index_extent);

  Device& device_;
  std::vector<Buffer> buffers_;
  std::byte* slab_at_ = nullptr;  // what is left of the last buffer that several operands share
  int64_t slab_left_ = 0;
  std::vector<Turn> turns_;
  std::vector<Constant> constants_of_;                          // by input
  std::map<std::pair<size_t, size_t>, const void*> constants_;  // by input and copy
  size_t copies_ = 1;
  size_t calls_ = 0;
};

}  // namespace cleave::backend
