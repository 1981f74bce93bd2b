// The passes that make a graph ready for planning, in their order.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "ops/registry.h"

namespace cleave::passes {

struct Pass {
  std::string_view name;
  // Returns whether anything changed.
  bool (*run)(ir::Graph& graph, const ops::Registry& registry);
};

// All passes in the order in which they run.
std::vector<Pass> pipeline();

struct PipelineOptions {
  LogSink log;  // at debug: each pass with its time and node counts
  // Called with the graph after each pass that changed it, where set.
  std::function<void(std::string_view pass, const ir::Graph& graph)> dump;
};

// Runs every pass; each result is verified.
void run_pipeline(ir::Graph& graph, const ops::Registry& registry,
                  const PipelineOptions& options = {});

}  // namespace cleave::passes
