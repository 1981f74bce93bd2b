// An engine on the devices of a runtime: its weights, packed weights and prepared programs, shared
// by all contexts of the engine.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "backend/kernel.h"
#include "runtime/bind_shapes.h"
#include "runtime/engine_impl.h"
#include "runtime/rank_program.h"
#include "runtime/runtime_core.h"
#include "runtime/weight_store.h"

namespace cleave::runtime {

// A program made ready on all ranks for one combination of sizes.
struct PreparedShapes {
  BoundShapes shapes;
  std::vector<RankProgram> ranks;  // none where weights are streamed
  std::vector<std::vector<int64_t>> output_shapes;
  std::vector<int64_t> output_bytes;
};

// Functions may be called by several threads at once.
class LoadedEngine {
 public:
  // How many combinations of sizes are kept prepared; the one used longest ago goes first.
  static constexpr size_t kKeptShapes = 32;

  LoadedEngine(std::shared_ptr<RuntimeCore> core, std::shared_ptr<const EngineImpl> engine);

  const program::EngineData& data() const { return engine_->data; }
  const std::shared_ptr<const EngineImpl>& impl() const { return engine_; }

  // Ready for these sizes; prepared on the ranks' threads where it is not yet. The first time
  // every byte of the engine is verified. See prepare_rank for the errors; a failure here does not
  // fail the group, because nobody was waiting.
  std::shared_ptr<const PreparedShapes> prepare(const BoundShapes& shapes);

  // By rank, as of the last preparation.
  std::vector<WeightLoad> weight_loads();

  // Where weights are streamed: calls `execute` with each instruction of the program in turn, made
  // ready on `rank` just before and dropped right after. On the rank's thread, during a run.
  void stream(const BoundShapes& shapes, int rank,
              const std::function<void(const RankProgram&)>& execute);

 private:
  struct Rank {
    Rank(const std::shared_ptr<const EngineImpl>& engine, int64_t rank, backend::Device& device)
        : cache(device), weights(engine, rank, device) {}
    backend::KernelCache cache;
    WeightStore weights;
  };
  std::shared_ptr<PreparedShapes> prepare_now(const BoundShapes& shapes);
  RankResources resources(int rank, const TimingCacheImpl& timings);
  void log_loads(const std::vector<WeightLoad>& before) const;
  void warn_of_untuned(const RankProgram& program);
  void verify();

  std::shared_ptr<RuntimeCore> core_;
  std::shared_ptr<const EngineImpl> engine_;
  std::vector<std::unique_ptr<Rank>> ranks_;

  std::mutex mutex_;
  std::list<std::shared_ptr<const PreparedShapes>> prepared_;  // the one used last comes first
  bool verified_ = false;
  bool warned_of_untuned_ = false;
  std::vector<WeightLoad> loads_;  // by rank
};

}  // namespace cleave::runtime
