// Import of ONNX models: the way from a file to a graph of the IR.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "ir/graph.h"
#include "ops/registry.h"

namespace cleave::onnx {

struct ImportOptions {
  // Fixed shapes of inputs; an extent of -1 leaves a dimension as the model has it.
  std::vector<std::pair<std::string, std::vector<int64_t>>> static_shapes;
  LogSink log;
  // Weight files that are absent become noise, a function of the seed and of where in the file.
  bool random_weights = false;
  uint64_t seed = 0;
};

// The graph of the model at `path`: functions inlined, shapes computed from shapes folded into
// attributes, broadcasting explicit, inputs and outputs named as in the model. Weights stay in
// their files and must not change while the graph lives.
//
// A dimension that the model leaves open becomes a symbol: of its own name, or of `<input>.<axis>`.
//
// Errors: kInvalid, a file or model that is wrong; kUnsupported, one error that lists every node
// that Cleave cannot express; kUsage, static shapes that do not fit the inputs.
ir::Graph load(const std::filesystem::path& path, const ImportOptions& options,
               const ops::Registry& registry);

}  // namespace cleave::onnx
