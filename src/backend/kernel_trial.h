// KernelTrial: a kernel made ready to be timed, with operands of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "backend/kernel.h"
#include "backend/other_work.h"

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

  // Puts a call on the device's default stream.
  void call();
  // Calls once, after other work on the core, and says how long that took. Long calls of a single
  // thread count the time it was running: another program's turn on the core is no cost of the
  // kernel's. A device that records takes the mean of some calls that follow each other in a
  // recording, as they do in a run. `call` must have been called before.
  double call_us();

 private:
  // Operands of one call.
  struct Turn {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    std::vector<std::span<std::byte>> written;  // inputs that a kernel before has written
  };
  // The kernel made ready for one copy of the constants.
  struct Copy {
    std::unique_ptr<PreparedKernel> prepared;
    std::vector<std::pair<size_t, const void*>> constants;  // by input; null where not read
  };

  double replay_us();
  std::byte* operand(const TensorView& view, const char* what);
  void add_turn(const KernelProblem& problem, int64_t index_extent);
  void add_copy(const Kernel& kernel, KernelProblem problem, KernelCache& cache);
  // Several threads have written the next call's inputs, each a part of every page: whoever reads
  // them finds some in the caches of others.
  void write_inputs();

  Device& device_;
  std::vector<Buffer> buffers_;
  std::vector<Turn> turns_;
  std::vector<Copy> copies_;
  Buffer workspace_;
  OtherWork between_;
  size_t calls_ = 0;
  std::unique_ptr<Recording> recording_;  // of so many calls
  size_t recorded_ = 0;
  std::unique_ptr<StreamClock> clock_;
};

}  // namespace cleave::backend
