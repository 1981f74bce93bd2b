// What the tests of passes share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "ir/text.h"
#include "ops/builder.h"
#include "ops/interpreter.h"
#include "tests/ops_support/tensors.h"

namespace cleave::passes::testing {

using PassFunction = bool (*)(ir::Graph&, const ops::Registry&);

// A graph from its text, without the braces around it.
inline ir::Graph graph_of(const std::string& body) {
  return ir::parse_graph("graph {\n" + body + "\n}\n");
}

// How many nodes there are of each op, as "add=2 mul=1".
inline std::string ops_of(const ir::Graph& graph) {
  std::map<std::string, int> counts;
  for (const ir::NodeId id : graph.order()) ++counts[graph.node(id).op];
  std::string text;
  for (const auto& [op, count] : counts) {
    text += (text.empty() ? "" : " ") + op + "=" + std::to_string(count);
  }
  return text;
}

// Random inputs of a graph at these sizes: reals in [-1, 1], integers in [0, 3], booleans.
inline std::vector<HostTensor> random_inputs(const ir::Graph& graph, const SymbolValues& sizes) {
  std::vector<HostTensor> inputs;
  uint64_t seed = 1;
  for (const ir::ValueId id : graph.inputs()) {
    const TensorType& type = graph.type(id);
    const std::vector<int64_t> shape = evaluate(type.shape, sizes);
    inputs.push_back(is_floating(type.dtype)
                         ? cleave::testing::random_reals(type.dtype, shape, ++seed)
                         : cleave::testing::random_integers(type.dtype, shape, ++seed, 0, 3));
  }
  return inputs;
}

// Runs a pass on the graph that `body` describes, verifies the result and checks that it computes
// what it did before, within `tolerance`. Returns the result.
inline ir::Graph checked(const std::string& body, PassFunction pass, const SymbolValues& sizes = {},
                         double tolerance = 1e-5) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph = graph_of(body);
  ops::verify(graph, registry);
  const std::string before = ir::to_text(graph);
  const std::vector<HostTensor> inputs = random_inputs(graph, sizes);
  const std::vector<HostTensor> expected = ops::interpret(graph, registry, inputs);
  std::vector<std::string> names;
  for (const ir::ValueId id : graph.outputs()) names.push_back(graph.value(id).name);

  const bool changed = pass(graph, registry);
  ops::verify(graph, registry);
  EXPECT_EQ(changed, ir::to_text(graph) != before) << ir::to_text(graph);
  const std::vector<HostTensor> actual = ops::interpret(graph, registry, inputs);
  EXPECT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(cleave::testing::difference(actual[i], expected[i], tolerance), "")
        << ir::to_text(graph);
    EXPECT_EQ(graph.value(graph.outputs()[i]).name, names[i]);
  }
  return graph;
}

// The only node of an op.
inline const ir::Node& only(const ir::Graph& graph, std::string_view op) {
  const ir::Node* found = nullptr;
  for (const ir::NodeId id : graph.order()) {
    if (graph.node(id).op != op) continue;
    EXPECT_EQ(found, nullptr) << "two nodes are " << op;
    found = &graph.node(id);
  }
  if (found == nullptr) throw std::runtime_error("no node is " + std::string(op));
  return *found;
}

}  // namespace cleave::passes::testing
