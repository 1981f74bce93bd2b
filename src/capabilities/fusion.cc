#include "capabilities/fusion.h"

#include <algorithm>

namespace cleave::capabilities {
namespace {

// The most operations and operands that one kernel carries.
constexpr size_t kMaxNodes = 24;

// Groups as sets that grow from producers into their only consumer.
class Fuser {
 public:
  Fuser(const ir::Graph& graph, const ops::Registry& registry, const Capabilities& capabilities)
      : graph_(graph), registry_(registry), capabilities_(capabilities), uses_(graph.uses()) {}

  Fusion run() {
    Fusion fusion;
    fusion.group_of_node.assign(graph_.node_count(), 0);
    groups_.resize(graph_.node_count());
    for (ir::NodeId id : graph_.order()) {
      ir::Graph const& g = graph_;
      const ir::Node& node = g.node(id);
      FusionGroup& group = groups_[id.index()];
      if (elementwise(node)) {
        for (ir::ValueId input : node.inputs) {
          if (input.valid()) absorb(group, node, input);
        }
      } else if (capabilities_.fuses_epilogue(node.op)) {
        group.anchor = id;
      }
      group.nodes.push_back(id);
    }
    for (ir::NodeId id : graph_.order()) {
      FusionGroup& group = groups_[id.index()];
      if (group.nodes.empty()) continue;
      for (ir::NodeId member : group.nodes) {
        fusion.group_of_node[member.index()] = static_cast<uint32_t>(fusion.groups.size());
      }
      fusion.groups.push_back(std::move(group));
    }
    return fusion;
  }

 private:
  bool elementwise(const ir::Node& node) const {
    const ops::OpDefinition* definition = registry_.find(node.op);
    return definition != nullptr && definition->is_elementwise() && node.outputs.size() == 1;
  }

  // Takes the group that makes `value` into `group`, where that is one kernel's work.
  void absorb(FusionGroup& group, const ir::Node& consumer, ir::ValueId value) {
    const ir::NodeId producer = graph_.value(value).producer;
    if (!producer.valid() || graph_.is_output(value)) return;
    const auto& uses = uses_[value.index()];
    const bool only_here = std::all_of(uses.begin(), uses.end(), [&](const ir::Graph::Use& use) {
      return &graph_.node(use.node) == &consumer;
    });
    FusionGroup& other = groups_[producer.index()];
    if (!only_here || other.nodes.empty()) return;
    const ir::Node& made_by = graph_.node(producer);
    if (made_by.group != consumer.group) return;
    if (!elementwise(made_by) && !other.anchor.valid()) return;
    if (graph_.type(value).shape != graph_.type(consumer.outputs[0]).shape) return;
    if (group.anchor.valid() && other.anchor.valid()) return;
    if (group.nodes.size() + other.nodes.size() >= kMaxNodes) return;
    if (other.anchor.valid()) group.anchor = other.anchor;
    std::vector<ir::NodeId> merged = std::move(other.nodes);
    merged.insert(merged.end(), group.nodes.begin(), group.nodes.end());
    std::sort(merged.begin(), merged.end(),
              [&](ir::NodeId a, ir::NodeId b) { return position(a) < position(b); });
    group.nodes = std::move(merged);
    other = {};
  }

  size_t position(ir::NodeId id) {
    if (positions_.empty()) {
      positions_.assign(graph_.node_count(), 0);
      size_t next = 0;
      for (ir::NodeId node : graph_.order()) positions_[node.index()] = next++;
    }
    return positions_[id.index()];
  }

  const ir::Graph& graph_;
  const ops::Registry& registry_;
  const Capabilities& capabilities_;
  std::vector<std::vector<ir::Graph::Use>> uses_;
  std::vector<FusionGroup> groups_;
  std::vector<size_t> positions_;
};

}  // namespace

Fusion fuse(const ir::Graph& graph, const ops::Registry& registry,
            const Capabilities& capabilities) {
  return Fuser(graph, registry, capabilities).run();
}

}  // namespace cleave::capabilities
