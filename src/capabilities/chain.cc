#include "capabilities/chain.h"

#include <algorithm>
#include <map>

namespace cleave::capabilities {

Chain chain_of(const ir::Graph& graph, const FusionGroup& group) {
  Chain chain;
  std::map<ir::ValueId, int32_t> slots;  // of operands and, later, of results
  const auto base = static_cast<int32_t>(group.anchor.valid() ? 1 : 0);
  if (group.anchor.valid()) slots[graph.node(group.anchor).outputs[0]] = 0;
  for (const ir::NodeId id : group.nodes) {
    if (id == group.anchor) continue;
    for (const ir::ValueId input : graph.node(id).inputs) {
      const ir::NodeId producer = graph.value(input).producer;
      const bool inside = producer.valid() && std::find(group.nodes.begin(), group.nodes.end(),
                                                        producer) != group.nodes.end();
      if (inside || slots.contains(input)) continue;
      slots[input] = base + static_cast<int32_t>(chain.externals.size());
      chain.externals.push_back(input);
    }
  }
  FusedProgram& program = chain.program;
  program.inputs = base + static_cast<int32_t>(chain.externals.size());
  for (const ir::NodeId id : group.nodes) {
    if (id == group.anchor) continue;
    const ir::Node& node = graph.node(id);
    FusedStep step;
    step.op = node.op;
    step.alpha = node.attributes.real("alpha", 0);
    step.type = graph.type(node.outputs[0]).dtype;
    for (const ir::ValueId input : node.inputs) step.args.push_back(slots.at(input));
    slots[node.outputs[0]] = program.inputs + static_cast<int32_t>(program.steps.size());
    program.steps.push_back(std::move(step));
  }
  program.outputs = {slots.at(graph.node(group.root()).outputs[0])};
  return chain;
}

ChainOperand chain_operand(const ir::Graph& graph, ir::ValueId value) {
  ChainOperand operand{graph.type(value), graph.type(value).shape};
  const ir::NodeId producer = graph.value(value).producer;
  if (!producer.valid() || graph.node(producer).op != "broadcast") return operand;
  const Shape& source = graph.type(graph.node(producer).inputs[0]).shape;
  operand.source.assign(operand.type.rank() - source.size(), Dim(1));
  operand.source.insert(operand.source.end(), source.begin(), source.end());
  return operand;
}

}  // namespace cleave::capabilities
