// Lowering: local graph → program. Fixes kernels' bounds: fusion groups, views and copies, the
// schedule and the memory plan, all without a device.
#pragma once

#include <functional>
#include <vector>

#include "capabilities/capabilities.h"
#include "ops/registry.h"
#include "program/program.h"

namespace cleave::lower {

struct Options {
  int64_t ranks = 1;
  std::vector<program::Symbol> symbols;
  // Predicted time of an instruction, for its `predicted_us`; may be empty.
  std::function<double(const program::Instruction&)> instruction_us;
  // What a local value is of the model, and how it lies over the ranks; may be empty.
  std::function<program::ModelTensor(ir::ValueId local)> tensor_of;
};

struct Lowered {
  program::Program program;
  // The constants that the program's weights stand for, by weight index: values of the local graph.
  std::vector<ir::ValueId> weights;
};

Lowered lower(const ir::Graph& local, const ops::Registry& registry,
              const capabilities::Capabilities& capabilities, const Options& options);

}  // namespace cleave::lower
