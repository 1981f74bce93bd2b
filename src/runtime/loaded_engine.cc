#include "runtime/loaded_engine.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

#include "base/check.h"
#include "base/log.h"
#include "runtime/timing_cache_impl.h"

namespace cleave::runtime {

LoadedEngine::LoadedEngine(std::shared_ptr<RuntimeCore> core,
                           std::shared_ptr<const EngineImpl> engine)
    : core_(std::move(core)), engine_(std::move(engine)) {
  for (int rank = 0; rank < core_->ranks(); ++rank) {
    ranks_.push_back(std::make_unique<Rank>(engine_, rank, core_->device(rank)));
  }
  loads_.resize(ranks_.size());
}

std::shared_ptr<const PreparedShapes> LoadedEngine::prepare(const BoundShapes& shapes) {
  // Held while preparing: a second thread that wants the same sizes waits for them.
  const std::lock_guard lock(mutex_);
  for (auto it = prepared_.begin(); it != prepared_.end(); ++it) {
    if ((*it)->shapes.program != shapes.program || (*it)->shapes.symbols != shapes.symbols) {
      continue;
    }
    prepared_.splice(prepared_.begin(), prepared_, it);
    return prepared_.front();
  }
  std::shared_ptr<PreparedShapes> added = prepare_now(shapes);
  if (!verified_) verify();
  prepared_.push_front(std::move(added));
  if (prepared_.size() > kKeptShapes) prepared_.pop_back();
  return prepared_.front();
}

std::shared_ptr<PreparedShapes> LoadedEngine::prepare_now(const BoundShapes& shapes) {
  auto result = std::make_shared<PreparedShapes>();
  result->shapes = shapes;
  for (const program::Binding& output : engine_->data.outputs) {
    result->output_shapes.push_back(evaluate(output.type.shape, shapes.symbols));
    result->output_bytes.push_back(output.type.bytes().evaluate(shapes.symbols));
  }
  if (core_->options().stream_weights) return result;
  result->ranks.resize(ranks_.size());
  const program::Program& program = engine_->data.programs[shapes.program];
  if (core_->options().tune) core_->tune(engine_->data, program, shapes.symbols);
  const std::shared_ptr<const TimingCacheImpl> timings = core_->timings();
  const std::vector<WeightLoad> before = loads_;
  core_->run_on_all([&](int rank) {
    const auto r = static_cast<size_t>(rank);
    result->ranks[r] =
        prepare_rank(engine_->data, program, shapes.symbols, resources(rank, *timings));
    loads_[r] = ranks_[r]->weights.loads();
  });
  log_loads(before);
  warn_of_untuned(result->ranks[0]);
  for (const RankProgram& rank : result->ranks) {
    CLEAVE_CHECK(rank.schedule == result->ranks[0].schedule,
                 "ranks disagree on the order of their collectives");
  }
  return result;
}

std::vector<WeightLoad> LoadedEngine::weight_loads() {
  const std::lock_guard lock(mutex_);
  return loads_;
}

// "cuda:0: loaded 30000 MB of weights in 2.5 s (12.0 GB/s)"
void LoadedEngine::log_loads(const std::vector<WeightLoad>& before) const {
  for (size_t r = 0; r < loads_.size(); ++r) {
    const auto bytes = static_cast<double>(loads_[r].bytes - before[r].bytes);
    const double seconds = loads_[r].seconds - before[r].seconds;
    const auto noise = static_cast<double>(loads_[r].noise_bytes - before[r].noise_bytes);
    if (bytes == 0 || !core_->options().log) continue;
    char line[160];
    std::snprintf(line, sizeof line, ": loaded %.0f MB of weights in %.3g s (%.3g GB/s)",
                  bytes / 1e6, seconds, bytes / 1e9 / std::max(seconds, 1e-9));
    std::string text = core_->device(static_cast<int>(r)).name() + line;
    if (noise > 0) {
      std::snprintf(line, sizeof line, ", %.0f MB of them noise made there", noise / 1e6);
      text += line;
    }
    log(core_->options().log, LogLevel::kInfo, text);
  }
}

// Once, however many combinations of sizes there are.
void LoadedEngine::warn_of_untuned(const RankProgram& program) {
  if (program.wants_tuning.empty() || warned_of_untuned_) return;
  warned_of_untuned_ = true;
  std::string line = "without tuning this may run many times slower than it could (see --tune): " +
                     program.wants_tuning[0];
  if (const size_t more = program.wants_tuning.size() - 1; more > 0) {
    line += "; so may " + std::to_string(more) + " more";
  }
  log(core_->options().log, LogLevel::kWarning, line);
}

RankResources LoadedEngine::resources(int rank, const TimingCacheImpl& timings) {
  Rank& own = *ranks_[static_cast<size_t>(rank)];
  return {.device = core_->device(rank),
          .kernels = core_->kernels(),
          .cache = own.cache,
          .weights = own.weights,
          .kind = core_->kind(),
          .timings = timings.table,
          .log = core_->options().log};
}

void LoadedEngine::stream(const BoundShapes& shapes, int rank,
                          const std::function<void(const RankProgram&)>& execute) {
  const program::Program& program = engine_->data.programs[shapes.program];
  const std::shared_ptr<const TimingCacheImpl> timings = core_->timings();
  size_t count = 0;
  for (const program::Segment& segment : program.segments) count += segment.instructions.size();
  for (uint32_t number = 0; number < count; ++number) {
    execute(prepare_instruction(engine_->data, program, shapes.symbols, resources(rank, *timings),
                                number));
    ranks_[static_cast<size_t>(rank)]->cache.drop_unused();
  }
}

// Chunks that no rank has read, padding and the weights of other programs, are read here.
void LoadedEngine::verify() {
  core_->run_on_all([&](int rank) { engine_->weights->verify_unread(rank, core_->ranks()); });
  verified_ = true;
}

}  // namespace cleave::runtime
