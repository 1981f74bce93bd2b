#include <algorithm>

#include "base/check.h"
#include "program/validate.h"
#include "runtime/bind_shapes.h"
#include "runtime/context_impl.h"

namespace cleave {
namespace {

constexpr int64_t kAlignment = 64;

int64_t round_up(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

double us_between(runtime::Clock::time_point from, runtime::Clock::time_point to) {
  return std::chrono::duration<double, std::micro>(to - from).count();
}

}  // namespace

using runtime::Clock;

struct ExecutionContext::Impl::Run {
  std::shared_ptr<const runtime::PreparedShapes> prepared;
  std::vector<const std::byte*> inputs;
  std::vector<Tensor> outputs;  // rank 0 writes them
  std::vector<std::vector<runtime::StepTime>> times;
  bool timed = false;
  std::optional<runtime::Observation> observation;
  Clock::time_point started;
  Clock::time_point ended;

  std::atomic<bool> failed{false};
  std::atomic<int> first_failed{-1};
};

ExecutionContext::Impl::Impl(std::shared_ptr<runtime::RuntimeCore> core,
                             std::shared_ptr<runtime::LoadedEngine> loaded, Engine shown)
    : engine(std::move(shown)),
      core_(std::move(core)),
      loaded_(std::move(loaded)),
      group_(core_->make_group()),
      arenas_(static_cast<size_t>(core_->ranks())),
      spare_outputs_(static_cast<size_t>(core_->ranks())) {
  const int64_t bytes = engine.activation_bytes();
  core_->run_on_all([&](int rank) {
    arenas_[static_cast<size_t>(rank)] = core_->device(rank).allocate(bytes, "activations");
  });
}

void ExecutionContext::Impl::prepare(const TensorMap& inputs) {
  core_->require_working();
  loaded_->prepare(runtime::bind_shapes(loaded_->data(), inputs));
}

TensorMap ExecutionContext::Impl::run(const TensorMap& inputs, const RunOptions& options) {
  core_->require_working();
  const program::EngineData& data = loaded_->data();
  Run run;
  run.prepared = loaded_->prepare(runtime::bind_shapes(data, inputs));
  for (const program::Binding& input : data.inputs) {
    run.inputs.push_back(inputs.at(input.name).data());
  }
  for (size_t i = 0; i < data.outputs.size(); ++i) {
    run.outputs.push_back(
        Tensor::uninitialized(data.outputs[i].type.dtype, run.prepared->output_shapes[i]));
  }
  const auto ranks = static_cast<size_t>(core_->ranks());
  run.times.resize(ranks);
  run.timed = options.timeline != nullptr;
  if (options.observer) {
    const runtime::BoundShapes& shapes = run.prepared->shapes;
    run.observation.emplace(data, data.programs[shapes.program], shapes.symbols, options.observer);
  }
  {
    const std::lock_guard lock(mutex_);
    core_->require_working();
    run.started = Clock::now();
    const auto thrown = core_->threads().run([&](int rank) { run_rank(run, rank); });
    run.ended = Clock::now();
    if (run.failed.load()) {
      const int first = run.first_failed.load();
      Error error = runtime::error_of(thrown[static_cast<size_t>(first)], core_->device(first));
      error.at("rank " + std::to_string(first));
      core_->set_failed(error);
      throw error;
    }
  }
  if (options.timeline != nullptr) fill_timeline(run, *options.timeline);
  TensorMap outputs;
  for (size_t i = 0; i < data.outputs.size(); ++i) {
    outputs.set(data.outputs[i].name, std::move(run.outputs[i]));
  }
  return outputs;
}

// Whoever fails first says so before the others can notice, so that its error is the one that is
// reported and not theirs about it.
void ExecutionContext::Impl::run_rank(Run& run, int rank) {
  const auto r = static_cast<size_t>(rank);
  Communicator& communicator = *(*group_)[r];
  std::optional<uint32_t> at_step;
  try {
    const std::vector<std::byte*> outputs = output_pointers(run, rank);
    const auto execute = [&](const runtime::RankProgram& program) {
      if (run.timed) run.times[r].reserve(run.times[r].size() + program.steps.size());
      runtime::execute({.program = program,
                        .device = core_->device(rank),
                        .communicator = communicator,
                        .arena = arenas_[r].data(),
                        .workspace = core_->workspace(rank, program.workspace_bytes),
                        .inputs = run.inputs,
                        .outputs = outputs,
                        .cancelled = run.failed,
                        .observation = run.observation ? &*run.observation : nullptr},
                       run.timed ? &run.times[r] : nullptr, at_step);
      at_step.reset();
    };
    if (run.prepared->ranks.empty()) {
      loaded_->stream(run.prepared->shapes, rank, execute);
    } else {
      execute(run.prepared->ranks[r]);
    }
  } catch (const runtime::Cancelled&) {
  } catch (...) {
    int nobody = -1;
    const bool first = run.first_failed.compare_exchange_strong(nobody, rank);
    run.failed.store(true);
    Error error = runtime::error_of(std::current_exception(), core_->device(rank));
    if (at_step) error.at(place_of(run, *at_step));
    error.at("rank " + std::to_string(rank));
    if (first) communicator.abort(error);
    throw error;
  }
}

// "instruction 3 (matmul fc)"
std::string ExecutionContext::Impl::place_of(const Run& run, uint32_t number) const {
  const program::Program& program = loaded_->data().programs[run.prepared->shapes.program];
  uint32_t left = number;
  for (const program::Segment& segment : program.segments) {
    if (left < segment.instructions.size()) {
      return runtime::place_of(segment.instructions[left], number);
    }
    left -= static_cast<uint32_t>(segment.instructions.size());
  }
  return "instruction " + std::to_string(number);
}

// Outputs are equal on all ranks; those of rank 0 are delivered.
std::vector<std::byte*> ExecutionContext::Impl::output_pointers(Run& run, int rank) {
  std::vector<std::byte*> pointers;
  if (rank == 0) {
    for (Tensor& output : run.outputs) pointers.push_back(output.mutable_data());
    return pointers;
  }
  const std::vector<int64_t>& sizes = run.prepared->output_bytes;
  int64_t total = 0;
  for (const int64_t bytes : sizes) total += round_up(bytes);
  std::byte* at =
      spare_outputs_[static_cast<size_t>(rank)].at_least(core_->device(rank), total, "outputs");
  for (const int64_t bytes : sizes) {
    pointers.push_back(at);
    if (at != nullptr) at += round_up(bytes);
  }
  return pointers;
}

void ExecutionContext::Impl::fill_timeline(const Run& run, Timeline& timeline) const {
  timeline = {};
  timeline.total_us = us_between(run.started, run.ended);
  const program::Program& program = loaded_->data().programs[run.prepared->shapes.program];
  for (const program::Segment& segment : program.segments) {
    for (const program::Instruction& instruction : segment.instructions) {
      timeline.instructions.push_back({instruction.op, instruction.name,
                                       program::is_collective(instruction.op),
                                       instruction.predicted_us});
    }
  }
  // A collective starts when the last rank has come; until then the others have waited for it.
  std::vector<Clock::time_point> started(timeline.instructions.size(), run.started);
  for (const auto& times : run.times) {
    for (const runtime::StepTime& time : times) {
      started[time.instruction] = std::max(started[time.instruction], time.start);
    }
  }
  for (size_t r = 0; r < run.times.size(); ++r) {
    timeline.devices.push_back(core_->device(static_cast<int>(r)).name());
    auto& events = timeline.ranks.emplace_back();
    for (const runtime::StepTime& time : run.times[r]) {
      if (time.kernel.empty()) continue;  // no share of it on this rank
      const bool communication = timeline.instructions[time.instruction].communication;
      const auto start = communication ? std::min(started[time.instruction], time.end) : time.start;
      events.push_back({time.instruction, us_between(run.started, start),
                        us_between(start, time.end), us_between(time.begin, start), time.kernel});
    }
  }
}

ExecutionContext::ExecutionContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ExecutionContext::ExecutionContext(ExecutionContext&&) noexcept = default;
ExecutionContext& ExecutionContext::operator=(ExecutionContext&&) noexcept = default;
ExecutionContext::~ExecutionContext() = default;

TensorMap ExecutionContext::run(const TensorMap& inputs, const RunOptions& options) {
  return impl_->run(inputs, options);
}
void ExecutionContext::prepare(const TensorMap& inputs) { impl_->prepare(inputs); }
const Engine& ExecutionContext::engine() const { return impl_->engine; }

}  // namespace cleave
