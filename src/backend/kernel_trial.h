// KernelTrial: a kernel made ready to be timed, with operands of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "backend/kernel.h"
#include "backend/other_work.h"
#include "backend/trial_operands.h"

namespace cleave::backend {

class KernelTrial {
 public:
  // The keys of the problem's constants must not be those of other weights in `cache`. The kernel
  // must take the problem. Operands of its own, see TrialOperands. Error(kOutOfMemory).
  KernelTrial(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache,
              int64_t index_extent = 1);
  // The same on operands of this problem that other trials use too.
  KernelTrial(const Kernel& kernel, const KernelProblem& problem, KernelCache& cache,
              std::shared_ptr<TrialOperands> operands);

  // Puts a call on the device's default stream.
  void call();
  // Calls once, after other work on the core, and says how long that took. Long calls of a single
  // thread count the time it was running: another program's turn on the core is no cost of the
  // kernel's. A device that records takes the mean of some calls that follow each other in a
  // recording, as they do in a run. `call` must have been called before.
  double call_us();
  // From now on a recording has `work`, put on the device's default stream, before each call, and
  // its own time is taken off: a call finds the caches as another kernel has left them, not as the
  // call before it did. Of devices that record.
  void run_between(std::function<void()> work);

 private:
  // The kernel made ready for one copy of the constants; for all of them, where it repacks none.
  struct Copy {
    std::shared_ptr<PreparedKernel> prepared;
    std::vector<std::pair<size_t, const void*>> constants;  // by input; null where not read
  };

  // Of each of `recorded_` times that a recording does something.
  double replay_us(Recording& recording);
  double replay_us();
  bool reads_constants(const KernelProblem& problem) const;
  void add_copy(const Kernel& kernel, KernelProblem problem, KernelCache& cache);
  // Several threads have written the next call's inputs, each a part of every page: whoever reads
  // them finds some in the caches of others.
  void write_inputs();

  Device& device_;
  std::shared_ptr<TrialOperands> operands_;
  std::vector<Copy> copies_;
  Buffer workspace_;
  OtherWork between_;
  std::unique_ptr<Recording> recording_;  // of so many calls
  size_t recorded_ = 0;
  std::function<void()> work_between_;
  double between_us_ = 0;  // what `work_between_` takes
  std::unique_ptr<StreamClock> clock_;
};

}  // namespace cleave::backend
