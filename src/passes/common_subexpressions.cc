#include "passes/common_subexpressions.h"

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"
#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// Each constant that another one equals, as its first equal.
bool merge_constants(ir::Graph& graph) {
  std::unordered_map<uint64_t, std::vector<ValueId>> seen;
  std::vector<ValueId> first(graph.value_count());
  bool changed = false;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id(i);
    first[i] = id;
    const ir::Value& value = graph.value(id);
    if (!value.is_constant() || !value.pieces.empty()) continue;
    std::vector<ValueId>& equals = seen[value.constant->identity()];
    const auto same = std::find_if(equals.begin(), equals.end(),
                                   [&](ValueId other) { return graph.type(other) == value.type; });
    if (same == equals.end()) {
      equals.push_back(id);
    } else {
      first[i] = *same;
    }
  }
  for (const ir::NodeId id : graph.order()) {
    for (ValueId& input : graph.node(id).inputs) {
      if (!input.valid() || first[input.index()] == input) continue;
      input = first[input.index()];
      changed = true;
    }
  }
  return changed;
}

uint64_t hash_of(const ir::Node& node) {
  uint64_t hash = hash_combine(hash_bytes(node.op), node.attributes.hash());
  for (const ValueId input : node.inputs) {
    hash = hash_combine(hash, input.valid() ? input.index() : ~uint64_t{0});
  }
  return hash;
}

bool is_same(const ir::Node& a, const ir::Node& b) {
  return a.op == b.op && a.inputs == b.inputs && a.outputs.size() == b.outputs.size() &&
         a.attributes == b.attributes;
}

}  // namespace

bool common_subexpressions(ir::Graph& graph, const ops::Registry& registry) {
  bool changed = merge_constants(graph);
  std::unordered_map<uint64_t, std::vector<ir::NodeId>> seen;
  const bool merged = rewrite_nodes(graph, registry, [&](Rewriter& rewriter, ir::NodeId id) {
    const ir::Node& node = graph.node(id);
    if (!node.regions.empty() || registry.at(node.op).is_collective()) return false;
    std::vector<ir::NodeId>& equals = seen[hash_of(node)];
    const auto same = std::find_if(equals.begin(), equals.end(), [&](ir::NodeId other) {
      return !graph.node(other).erased && is_same(graph.node(other), node);
    });
    if (same == equals.end()) {
      equals.push_back(id);
      return false;
    }
    bool any = false;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      any = rewriter.replace(node.outputs[i], graph.node(*same).outputs[i]) || any;
    }
    return any;
  });
  if (changed && !merged) graph.compact();
  return changed || merged;
}

}  // namespace cleave::passes
