// What ExecutionContext is: the memory and communicators of one engine's runs.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "cleave/runtime.h"
#include "runtime/execute.h"
#include "runtime/loaded_engine.h"
#include "runtime/rank_io.h"
#include "runtime/recordings.h"
#include "runtime/runtime_core.h"

namespace cleave {

struct ExecutionContext::Impl {
  // Allocates the arenas, on the ranks' threads.
  Impl(std::shared_ptr<runtime::RuntimeCore> core, std::shared_ptr<runtime::LoadedEngine> loaded,
       Engine engine);

  TensorMap run(const TensorMap& inputs, const RunOptions& options);
  void prepare(const TensorMap& inputs);
  std::vector<WeightLoad> weight_loads() const { return loaded_->weight_loads(); }

  const Engine engine;

 private:
  struct Run;  // one run's inputs, outputs and failure
  // A rank's clocks, which take time to calibrate: made by the first run that is timed.
  struct Clocks {
    std::unique_ptr<backend::StreamClock> whole;  // of a run
    std::unique_ptr<backend::StreamClock> steps;
  };

  void run_rank(Run& run, int rank);
  void forget(int rank);
  void execute(Run& run, int rank, const runtime::RankProgram& program,
               std::optional<uint32_t>& at_step);
  std::string place_of(const Run& run, uint32_t number) const;
  void fill_timeline(const Run& run, Timeline& timeline) const;

  std::shared_ptr<runtime::RuntimeCore> core_;
  std::shared_ptr<runtime::LoadedEngine> loaded_;
  std::shared_ptr<std::vector<std::unique_ptr<Communicator>>> group_;
  std::vector<backend::Buffer> arenas_;  // these by rank
  std::vector<runtime::RankIo> io_;
  std::vector<runtime::Recordings> recordings_;
  std::vector<Clocks> clocks_;
  std::mutex mutex_;  // one run at a time
};

}  // namespace cleave
