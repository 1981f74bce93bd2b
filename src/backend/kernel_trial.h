// KernelTrial: a kernel made ready to be timed, with operands of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// Operands take turns. Constants, so that each call finds them in memory and not in cache, as in a
// network of many weights; the others, so that it finds them where an arena has what a kernel
// before has written, in a shared cache rather than in the core's own.
class KernelTrial {
 public:
  // The constants of `problem` are the inputs that have a key; its data is not used, its keys must
  // not be those of other weights in `cache`. Integer inputs hold numbers below `index_extent`;
  // where that is over 1, input 0 is a table that is read in part, and there once. The kernel must
  // take the problem. Error(kOutOfMemory).
  KernelTrial(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache,
              int64_t index_extent = 1);

  void call();
  // Calls once and says how long that took. Long calls of a single thread count the time it was
  // running: another program's turn on the core is no cost of the kernel's.
  double call_us();

 private:
  // Operands of one call.
  struct Turn {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
  };
  // The kernel made ready for one copy of the constants.
  struct Copy {
    std::unique_ptr<PreparedKernel> prepared;
    std::vector<std::pair<size_t, const void*>> constants;  // by input; null where not read
  };

  std::byte* operand(const TensorView& view, const char* what);
  void add_turn(const KernelProblem& problem, int64_t index_extent);
  void add_copy(const Kernel& kernel, KernelProblem problem, KernelCache& cache);

  Device& device_;
  std::vector<Buffer> buffers_;
  std::vector<Turn> turns_;
  std::vector<Copy> copies_;
  Buffer workspace_;
  size_t calls_ = 0;
};

}  // namespace cleave::backend
