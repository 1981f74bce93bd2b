#include "passes/split_recovery.h"

#include <algorithm>
#include <map>

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::NodeId;
using ir::ValueId;

// A slice that is a part along one axis.
struct Part {
  NodeId node;
  Dim begin;
  Dim extent;
};

// The only axis along which a slice is not whole, and what it takes; nullopt where it is none.
std::optional<std::pair<size_t, Part>> part_of(const ir::Graph& graph, NodeId id) {
  const ir::Node& node = graph.node(id);
  const Shape& whole = graph.type(node.inputs[0]).shape;
  const std::vector<Dim>& begin = node.attributes.dims("begin");
  const std::vector<Dim>& extent = node.attributes.dims("extent");
  std::optional<size_t> axis;
  for (size_t d = 0; d < whole.size(); ++d) {
    if (!node.attributes.dims("step")[d].is(1)) return {};
    if (begin[d].is(0) && extent[d] == whole[d]) continue;
    if (axis) return {};
    axis = d;
  }
  if (!axis) return {};
  return std::pair{*axis, Part{id, begin[*axis], extent[*axis]}};
}

// The parts in the order in which they lie, where they are all of `whole`; else none.
std::vector<Part> in_order(const std::vector<Part>& parts, const Dim& whole) {
  std::vector<Part> sorted;
  Dim position;
  while (position != whole && sorted.size() < parts.size()) {
    const auto next = std::find_if(parts.begin(), parts.end(), [&](const Part& part) {
      return part.begin == position && !part.extent.is(0);
    });
    if (next == parts.end()) return {};
    sorted.push_back(*next);
    position += next->extent;
  }
  if (position != whole || sorted.size() != parts.size() || sorted.size() < 2) return {};
  return sorted;
}

void make_split(Rewriter& r, ValueId value, size_t axis, const std::vector<Part>& parts,
                NodeId first) {
  std::vector<Dim> sizes;
  for (const Part& part : parts) sizes.push_back(part.extent);
  const std::string name = r.graph().node(first).name + "/split";
  const std::vector<ValueId> results =
      r.before(r.graph().node(first).outputs[0])
          .add(name, "split", {{"axis", Dim(static_cast<int64_t>(axis))}, {"sizes", sizes}},
               {value});
  for (size_t i = 0; i < parts.size(); ++i) {
    const ValueId old = r.graph().node(parts[i].node).outputs[0];
    if (!r.graph().is_output(old)) {
      const std::string value_name = r.graph().value(old).name;
      r.graph().rename(old, value_name + "/replaced");
      r.graph().rename(results[i], value_name);
    }
    r.replace(old, results[i]);
  }
}

}  // namespace

bool recover_splits(ir::Graph& graph, const ops::Registry& registry) {
  // By value and axis, in the order of the graph.
  std::map<std::pair<ValueId, size_t>, std::vector<Part>> slices;
  for (const NodeId id : graph.order()) {
    if (graph.node(id).op != "slice") continue;
    if (const auto found = part_of(graph, id)) {
      slices[{graph.node(id).inputs[0], found->first}].push_back(found->second);
    }
  }
  Rewriter rewriter(graph, registry);
  bool changed = false;
  for (const auto& [key, parts] : slices) {
    const std::vector<Part> sorted = in_order(parts, graph.type(key.first).shape[key.second]);
    if (sorted.empty()) continue;
    make_split(rewriter, key.first, key.second, sorted, parts.front().node);
    changed = true;
  }
  if (changed) graph.compact();
  return changed;
}

}  // namespace cleave::passes
