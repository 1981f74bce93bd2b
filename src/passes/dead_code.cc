#include "passes/dead_code.h"

#include <algorithm>

namespace cleave::passes {

bool dead_code(ir::Graph& graph, const ops::Registry&) {
  std::vector<bool> live(graph.value_count(), false);
  for (ir::ValueId id : graph.outputs()) live[id.index()] = true;
  const std::vector<ir::NodeId> order = graph.order();
  bool changed = false;
  for (size_t i = order.size(); i-- > 0;) {
    const ir::Node& node = graph.node(order[i]);
    const bool used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                  [&](ir::ValueId id) { return live[id.index()]; });
    if (!used) {
      graph.erase(order[i]);
      changed = true;
      continue;
    }
    for (ir::ValueId id : node.inputs) {
      if (id.valid()) live[id.index()] = true;
    }
  }
  graph.compact();
  return changed;
}

}  // namespace cleave::passes
