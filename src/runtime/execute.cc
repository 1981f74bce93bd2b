#include "runtime/execute.h"

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

// How many steps a timed run puts on a stream before the device begins with them.
constexpr size_t kHeldSteps = 64;

// `marks` has three a step: before it, where the ranks have met, behind it.
void append_times(const RankRun& run, const std::vector<Clock::duration>& marks,
                  std::vector<StepTime>& times) {
  size_t at = 0;
  for (const Step& step : run.program.steps) {
    times.push_back({step.instruction, step.kernel, run.begin + marks.at(at),
                     run.begin + marks.at(at + 1), run.begin + marks.at(at + 2)});
    at += 3;
  }
}

}  // namespace

void execute(const RankRun& run, std::vector<StepTime>* times, std::optional<uint32_t>& at_step) {
  Resolver resolver(run);
  const StreamHandle stream = run.device.default_stream();
  const backend::Launch launch = {run.workspace, run.device.pool(), stream};
  backend::StreamClock* const clock = times != nullptr ? run.clock : nullptr;
  const auto mark = [&] {
    if (clock != nullptr) clock->mark();
  };
  if (clock != nullptr) run.communicator.barrier(stream);
  size_t held = 0;
  for (const Step& step : run.program.steps) {
    if (clock != nullptr && held++ % kHeldSteps == 0) {
      clock->release();
      clock->hold();
    }
    if (run.cancelled.load(std::memory_order_relaxed)) throw Cancelled();
    at_step = step.instruction;
    resolver.resolve(step);
    mark();
    if (clock != nullptr && step.collective && step.collective->communicates()) {
      run.communicator.barrier(stream);
    }
    mark();
    if (step.collective) {
      step.collective->run(run.device, run.communicator, resolver.inputs()[0],
                           resolver.outputs()[0], stream);
    } else if (step.prepared) {
      step.prepared->run(resolver.inputs(), resolver.outputs(), launch);
    }
    mark();
    if (run.observation != nullptr) {
      run.observation->made(step.instruction, resolver.outputs(), run.device, run.communicator);
    }
  }
  if (clock != nullptr) {
    clock->release();
    run.communicator.wait(stream);
    append_times(run, clock->read(), *times);
  }
}

}  // namespace cleave::runtime
