#include "capabilities/fusion.h"

#include <algorithm>

#include "capabilities/chain.h"

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
      const ir::Node& node = graph_.node(id);
      FusionGroup& group = groups_[id.index()];
      if (elementwise(node)) {
        group.nodes.push_back(id);
        absorb_all(group);
        continue;
      }
      if (capabilities_.fuses_epilogue(node.op)) group.anchor = id;
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

  // A value that several members read comes in when the last of them has.
  void absorb_all(FusionGroup& group) {
    for (bool grown = true; grown;) {
      grown = false;
      for (size_t m = group.nodes.size(); m-- > 0 && !grown;) {
        const ir::NodeId member = group.nodes[m];
        if (member == group.anchor) continue;
        for (const ir::ValueId input : graph_.node(member).inputs) {
          if (input.valid() && absorb(group, graph_.node(member), input)) {
            grown = true;
            break;
          }
        }
      }
    }
  }

  // Takes the group that makes `value` into `group`, where that is one kernel's work.
  bool absorb(FusionGroup& group, const ir::Node& consumer, ir::ValueId value) {
    const ir::NodeId producer = graph_.value(value).producer;
    if (!producer.valid() || graph_.is_output(value)) return false;
    const auto& uses = uses_[value.index()];
    // What the anchor reads comes before the chain.
    const bool only_here = std::all_of(uses.begin(), uses.end(), [&](const ir::Graph::Use& use) {
      return use.node != group.anchor &&
             std::find(group.nodes.begin(), group.nodes.end(), use.node) != group.nodes.end();
    });
    FusionGroup& other = groups_[producer.index()];
    if (!only_here || other.nodes.empty()) return false;
    const ir::Node& made_by = graph_.node(producer);
    if (made_by.group != consumer.group) return false;
    if (!elementwise(made_by) && !other.anchor.valid()) return false;
    if (graph_.type(value).shape != graph_.type(consumer.outputs[0]).shape) return false;
    if (group.anchor.valid() && other.anchor.valid()) return false;
    if (group.nodes.size() + other.nodes.size() >= kMaxNodes) return false;
    FusionGroup merged{other.nodes, other.anchor.valid() ? other.anchor : group.anchor};
    merged.nodes.insert(merged.nodes.end(), group.nodes.begin(), group.nodes.end());
    std::sort(merged.nodes.begin(), merged.nodes.end(),
              [&](ir::NodeId a, ir::NodeId b) { return position(a) < position(b); });
    if (merged.anchor.valid() && !kernel_takes(merged)) return false;
    group = std::move(merged);
    other = {};
    return true;
  }

  bool kernel_takes(const FusionGroup& group) const {
    const ir::Node& anchor = graph_.node(group.anchor);
    const Chain chain = chain_of(graph_, group);
    std::vector<ChainOperand> operands;
    for (const ir::ValueId value : chain.externals) {
      operands.push_back(chain_operand(graph_, value));
    }
    return capabilities_.fuses_chain(anchor.op, chain.program, graph_.type(anchor.outputs[0]),
                                     operands);
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
