#include "passes/pipeline.h"

#include <chrono>
#include <cstdio>

#include "ops/builder.h"
#include "passes/common_subexpressions.h"
#include "passes/constant_folding.h"
#include "passes/dead_code.h"
#include "passes/fold_scales.h"
#include "passes/recover_activations.h"
#include "passes/recover_attention.h"
#include "passes/recover_group_norm.h"
#include "passes/recover_norms.h"
#include "passes/recover_rotary.h"
#include "passes/recover_softmax.h"
#include "passes/simplify.h"

namespace cleave::passes {

std::vector<Pass> pipeline() {
  return {
      {"dead_code", dead_code},
      {"constant_folding", constant_folding},
      {"simplify", simplify},
      {"common_subexpressions", common_subexpressions},
      {"recover_norms", recover_norms},
      {"recover_group_norm", recover_group_norm},
      {"recover_activations", recover_activations},
      {"recover_softmax", recover_softmax},
      {"recover_rotary", recover_rotary},
      {"recover_attention", recover_attention},
      {"fold_scales", fold_scales},
      {"constant_folding", constant_folding},
      {"simplify", simplify},
      {"common_subexpressions", common_subexpressions},
      {"dead_code", dead_code},
  };
}

void run_pipeline(ir::Graph& graph, const ops::Registry& registry, const PipelineOptions& options) {
  for (const Pass& pass : pipeline()) {
    const auto start = std::chrono::steady_clock::now();
    const size_t before = graph.order().size();
    const bool changed = pass.run(graph, registry);
    if (changed) ops::verify(graph, registry);
    if (options.log) {
      const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - start;
      char line[160];
      std::snprintf(line, sizeof line, "pass %.*s: %zu -> %zu nodes, %.2f ms",
                    static_cast<int>(pass.name.size()), pass.name.data(), before,
                    graph.order().size(), ms.count());
      log(options.log, LogLevel::kDebug, line);
    }
    if (changed && options.dump) options.dump(pass.name, graph);
  }
}

}  // namespace cleave::passes
