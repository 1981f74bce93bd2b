#include <algorithm>

#include "base/check.h"
#include "program/validate.h"
#include "runtime/bind_shapes.h"
#include "runtime/context_impl.h"

namespace cleave {
namespace {

double us(runtime::Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double us_between(runtime::Clock::time_point from, runtime::Clock::time_point to) {
  return us(to - from);
}

// The kept clock of the device's default stream.
backend::StreamClock* made(std::unique_ptr<backend::StreamClock>& kept, backend::Device& device) {
  if (!kept) kept = device.make_clock(device.default_stream());
  return kept.get();
}

}  // namespace

using runtime::Clock;

struct ExecutionContext::Impl::Run {
  std::shared_ptr<const runtime::PreparedShapes> prepared;
  std::vector<runtime::HostTensor> inputs;
  std::vector<Tensor> outputs;               // equal on all ranks
  std::vector<runtime::HostTensor> results;  // the same
  std::vector<std::vector<runtime::StepTime>> times;
  bool timed = false;
  bool device_timed = false;
  std::vector<double> device_us;  // by rank, where it is asked for
  std::optional<runtime::Observation> observation;
  Clock::time_point started;
  Clock::time_point ended;

  std::atomic<bool> failed{false};
  std::atomic<int> first_failed{-1};

  // As far as the rank reads them; whole where weights are streamed.
  std::vector<runtime::HostTensor> inputs_of(int rank) const {
    std::vector<runtime::HostTensor> result = inputs;
    if (prepared->ranks.empty()) return result;
    const auto& reads = prepared->ranks[static_cast<size_t>(rank)].reads;
    for (size_t i = 0; i < result.size(); ++i) result[i].part = reads[i];
    return result;
  }
  // A rank's share; where memory is the host's the first writes all of them in place.
  std::vector<runtime::HostTensor> results_of(int rank, int ranks, bool in_place) const {
    std::vector<runtime::HostTensor> result = results;
    for (runtime::HostTensor& tensor : result) {
      if (in_place && rank > 0) tensor.data = nullptr;
      if (!in_place) tensor.part = runtime::share_of_result(tensor.bytes, rank, ranks);
    }
    return result;
  }
};

ExecutionContext::Impl::Impl(std::shared_ptr<runtime::RuntimeCore> core,
                             std::shared_ptr<runtime::LoadedEngine> loaded, Engine shown)
    : engine(std::move(shown)),
      core_(std::move(core)),
      loaded_(std::move(loaded)),
      group_(core_->make_group()),
      arenas_(static_cast<size_t>(core_->ranks())),
      io_(static_cast<size_t>(core_->ranks())),
      recordings_(static_cast<size_t>(core_->ranks())),
      clocks_(static_cast<size_t>(core_->ranks())) {
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
    const Tensor& tensor = inputs.at(input.name);
    // Only read, though the same struct serves for outputs.
    run.inputs.push_back(runtime::HostTensor::whole(const_cast<std::byte*>(tensor.data()),
                                                    static_cast<int64_t>(tensor.bytes())));
  }
  for (size_t i = 0; i < data.outputs.size(); ++i) {
    run.outputs.push_back(
        core_->host_tensor(data.outputs[i].type.dtype, run.prepared->output_shapes[i]));
    run.results.push_back(runtime::HostTensor::whole(run.outputs.back().mutable_data(),
                                                     run.prepared->output_bytes[i]));
  }
  const auto ranks = static_cast<size_t>(core_->ranks());
  run.times.resize(ranks);
  run.timed = options.timeline != nullptr;
  run.device_timed = options.device_us != nullptr;
  run.device_us.resize(ranks);
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
      // Also of a rank that was done before another failed.
      for (int rank = 0; rank < core_->ranks(); ++rank) forget(rank);
      const int first = run.first_failed.load();
      Error error = runtime::error_of(thrown[static_cast<size_t>(first)], core_->device(first));
      error.at("rank " + std::to_string(first));
      core_->set_failed(error);
      core_->keep(std::move(run.outputs));
      throw error;
    }
    core_->settled();
  }
  if (options.timeline != nullptr) fill_timeline(run, *options.timeline);
  if (run.device_timed) {
    *options.device_us = *std::max_element(run.device_us.begin(), run.device_us.end());
  }
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
    backend::Device& device = core_->device(rank);
    device.make_current();
    const StreamHandle stream = device.default_stream();
    io_[r].begin(device, run.inputs_of(rank),
                 run.results_of(rank, core_->ranks(), device.memory_is_host()), stream);
    if (run.prepared->ranks.empty()) {
      loaded_->stream(run.prepared->shapes, rank, [&](const runtime::RankProgram& program) {
        execute(run, rank, program, at_step);
        communicator.wait(stream);  // the instruction's weights go
        at_step.reset();
      });
    } else {
      backend::StreamClock* const clock =
          run.device_timed ? made(clocks_[r].whole, device) : nullptr;
      if (clock != nullptr) {
        // Inputs do not come to all devices at once: one that waits for another's does not count.
        if (!device.memory_is_host()) communicator.barrier(stream);
        clock->mark();
      }
      execute(run, rank, run.prepared->ranks[r], at_step);
      if (clock != nullptr) clock->mark();
      io_[r].end(device, stream);
      communicator.wait(stream);
      if (clock != nullptr) run.device_us[r] = us(clock->read().at(1));
      io_[r].finish(device, stream);
      return;
    }
    io_[r].end(device, stream);
    communicator.wait(stream);
    io_[r].finish(device, stream);
  } catch (const runtime::Cancelled&) {
    forget(rank);
  } catch (...) {
    forget(rank);
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

// A failed group's collectives are not to be replayed, nor the marks of a run cut short counted.
void ExecutionContext::Impl::forget(int rank) {
  recordings_[static_cast<size_t>(rank)].clear();
  clocks_[static_cast<size_t>(rank)] = {};
}

// A program that is run as it was before, and that nobody looks into, is replayed where the device
// can.
void ExecutionContext::Impl::execute(Run& run, int rank, const runtime::RankProgram& program,
                                     std::optional<uint32_t>& at_step) {
  const auto r = static_cast<size_t>(rank);
  backend::Device& device = core_->device(rank);
  std::vector<runtime::StepTime>* times = run.timed ? &run.times[r] : nullptr;
  if (times != nullptr) times->reserve(times->size() + program.steps.size());
  const runtime::RankRun rank_run = {.program = program,
                                     .device = device,
                                     .communicator = *(*group_)[r],
                                     .arena = arenas_[r].data(),
                                     .workspace = core_->workspace(rank, program.workspace_bytes),
                                     .inputs = io_[r].inputs(),
                                     .outputs = io_[r].outputs(),
                                     .cancelled = run.failed,
                                     .observation = run.observation ? &*run.observation : nullptr,
                                     .clock = run.timed ? made(clocks_[r].steps, device) : nullptr,
                                     .begin = run.started};
  const auto work = [&] { runtime::execute(rank_run, times, at_step); };
  const bool looked_into = times != nullptr || rank_run.observation != nullptr;
  if (!device.records() || looked_into || run.prepared->ranks.empty()) return work();
  runtime::Recordings::Key key = {run.prepared, {rank_run.arena, rank_run.workspace}};
  key.memory.insert(key.memory.end(), rank_run.inputs.begin(), rank_run.inputs.end());
  key.memory.insert(key.memory.end(), rank_run.outputs.begin(), rank_run.outputs.end());
  const StreamHandle stream = device.default_stream();
  const auto record = [&](const std::function<void()>& recorded) {
    return device.record(stream, recorded);
  };
  recordings_[r].run(key, stream, record, work);
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
std::vector<WeightLoad> ExecutionContext::weight_loads() const { return impl_->weight_loads(); }
const Engine& ExecutionContext::engine() const { return impl_->engine; }

}  // namespace cleave
