#include "runtime/execute.h"

#include "base/thread_pool.h"

namespace cleave::runtime {
namespace {

using program::Space;

// Finds operands' memory; keeps its lists from step to step.
class Resolver {
 public:
  explicit Resolver(const RankRun& run) : run_(run) {}

  void resolve(const Step& step) {
    inputs_.clear();
    outputs_.clear();
    for (const Address& address : step.inputs) inputs_.push_back(locate(address));
    for (const Address& address : step.outputs) outputs_.push_back(locate_output(address));
  }
  std::span<const void* const> inputs() const { return inputs_; }
  std::span<void* const> outputs() const { return outputs_; }

 private:
  const void* locate(const Address& address) const {
    switch (address.space) {
      case Space::kInput:
        return shifted(run_.inputs[address.index], address.bytes);
      case Space::kWeight:
        return shifted(run_.program.weights[address.index]->data(), address.bytes);
      default:
        return locate_output(address);
    }
  }
  void* locate_output(const Address& address) const {
    if (address.space == Space::kArena) return shifted(run_.arena, address.bytes);
    if (address.space == Space::kOutput) {
      return shifted(run_.outputs[address.index], address.bytes);
    }
    return nullptr;
  }
  template <class T>
  static T* shifted(T* base, int64_t bytes) {
    return base == nullptr ? nullptr : base + bytes;
  }

  const RankRun& run_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
};

}  // namespace

void execute(const RankRun& run, std::vector<StepTime>* times, std::optional<uint32_t>& at_step) {
  Resolver resolver(run);
  const StreamHandle stream = run.device.default_stream();
  ThreadPool& pool = run.device.pool();
  StepTime time;
  for (const Step& step : run.program.steps) {
    if (run.cancelled.load(std::memory_order_relaxed)) throw Cancelled();
    at_step = step.instruction;
    resolver.resolve(step);
    if (times != nullptr) {
      time.instruction = step.instruction;
      time.kernel = step.kernel;
      time.begin = Clock::now();
      if (step.collective && !std::holds_alternative<TakeShard>(step.collective->what)) {
        run.communicator.barrier(stream);
      }
      time.start = Clock::now();
    }
    if (step.collective) {
      step.collective->run(run.communicator, resolver.inputs()[0], resolver.outputs()[0], stream);
    } else if (step.prepared) {
      step.prepared->run(resolver.inputs(), resolver.outputs(), run.workspace, pool);
    }
    if (times != nullptr) {
      time.end = Clock::now();
      times->push_back(time);
    }
    if (run.observation != nullptr) {
      run.observation->made(step.instruction, resolver.outputs(), run.device, run.communicator);
    }
  }
  run.device.synchronize(stream);
}

}  // namespace cleave::runtime
