// What an Engine is: its data, and where its weights come from.
#pragma once

#include <memory>

#include "cleave/engine.h"
#include "program/program.h"
#include "program/weight_source.h"

namespace cleave {

struct EngineImpl {
  program::EngineData data;
  std::shared_ptr<const program::WeightSource> weights;
};

// An engine in memory, as the compiler makes it. `data` has its weights laid out
// (program/weight_layout.h) and is validated here; `weights` is asked for slices when a runtime
// loads them and when the engine is saved.
Engine make_engine(program::EngineData data, std::shared_ptr<const program::WeightSource> weights);

}  // namespace cleave
