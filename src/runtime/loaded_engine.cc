#include "runtime/loaded_engine.h"

#include <optional>

#include "base/check.h"
#include "runtime/timing_cache_impl.h"

namespace cleave::runtime {

LoadedEngine::LoadedEngine(std::shared_ptr<RuntimeCore> core,
                           std::shared_ptr<const EngineImpl> engine)
    : core_(std::move(core)), engine_(std::move(engine)) {
  for (int rank = 0; rank < core_->ranks(); ++rank) {
    ranks_.push_back(std::make_unique<Rank>(engine_, rank, core_->device(rank)));
  }
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
  core_->run_on_all([&](int rank) {
    result->ranks[static_cast<size_t>(rank)] =
        prepare_rank(engine_->data, program, shapes.symbols, resources(rank, *timings));
  });
  for (const RankProgram& rank : result->ranks) {
    CLEAVE_CHECK(rank.schedule == result->ranks[0].schedule,
                 "ranks disagree on the order of their collectives");
  }
  return result;
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
