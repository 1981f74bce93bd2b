#include "tests/ops_support/decomposition_check.h"

#include <gtest/gtest.h>

#include "ops/builder.h"
#include "tests/ops_support/tensors.h"

namespace cleave::testing {
namespace {

using Values = std::map<ir::ValueId, HostTensor>;

// The operands of a node; null where absent.
std::vector<const HostTensor*> operands_of(const ir::Graph& graph, const ir::Node& node,
                                           Values& values) {
  std::vector<const HostTensor*> operands;
  for (const ir::ValueId id : node.inputs) {
    if (!id.valid()) {
      operands.push_back(nullptr);
      continue;
    }
    if (graph.value(id).is_constant()) values.emplace(id, graph.value(id).constant->read_all());
    operands.push_back(&values.at(id));
  }
  return operands;
}

// Runs all nodes in order with their plain kernels.
void run(const ir::Graph& graph, const ops::Registry& registry, const SymbolValues& symbols,
         Values& values) {
  for (const ir::NodeId id : graph.order()) {
    const ir::Node& node = graph.node(id);
    const std::vector<const HostTensor*> operands = operands_of(graph, node, values);
    std::vector<HostTensor> results;
    for (const ir::ValueId output : node.outputs) {
      const TensorType& type = graph.type(output);
      results.emplace_back(type.dtype, evaluate(type.shape, symbols));
    }
    registry.at(node.op).reference(node.attributes.evaluated(symbols), operands, results);
    for (size_t i = 0; i < results.size(); ++i) values[node.outputs[i]] = std::move(results[i]);
  }
}

}  // namespace

std::multiset<std::string> check_decomposition(const RuleCase& c) {
  SCOPED_TRACE(c.op + c.attributes.text());
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph;
  Values values;
  std::vector<ir::ValueId> inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    inputs.emplace_back();
    if (!c.inputs[i]) continue;
    const HostTensor& input = *c.inputs[i];
    const Shape numbers(input.shape.begin(), input.shape.end());
    inputs.back() = graph.add_input("input" + std::to_string(i),
                                    {input.dtype, c.shapes.empty() ? numbers : c.shapes.at(i)});
    values[inputs.back()] = input;
  }
  ops::Builder builder(graph, registry);
  const std::vector<ir::ValueId> whole = builder.add("op", c.op, c.attributes, inputs);
  const ops::OpDefinition& definition = registry.at(c.op);
  EXPECT_TRUE(definition.is_composite());
  const std::vector<ir::ValueId> parts =
      definition.decompose(graph, graph.node(*graph.find_node("op")));
  EXPECT_EQ(parts.size(), whole.size());
  graph.set_outputs(parts);
  ops::verify(graph, registry);
  run(graph, registry, c.symbols, values);
  for (size_t i = 0; i < std::min(parts.size(), whole.size()); ++i) {
    EXPECT_EQ(graph.type(parts[i]), graph.type(whole[i])) << "type of output " << i;
    EXPECT_EQ(difference(values.at(parts[i]), values.at(whole[i]), c.tolerance), "")
        << "output " << i;
  }
  std::multiset<std::string> ops;
  for (const ir::NodeId id : graph.order()) {
    if (graph.node(id).name != "op") ops.insert(graph.node(id).op);
  }
  return ops;
}

}  // namespace cleave::testing
