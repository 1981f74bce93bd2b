// What the tests of passes share.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>

#include "ir/text.h"
#include "ops/builder.h"
#include "ops/interpreter.h"
#include "tests/ops_support/tensors.h"

namespace cleave::passes::testing {

using PassFunction = bool (*)(ir::Graph&, const ops::Registry&);

// A graph from its text, without the braces around it. Nodes are named as their first results.
inline ir::Graph graph_of(const std::string& body) {
  std::istringstream lines(body);
  std::string text = "graph {\n";
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    text += line.substr(begin);
    if (line[begin] == '%') {
      text += "  // " + line.substr(begin + 1, line.find_first_of(", ", begin) - begin - 1);
    }
    text += "\n";
  }
  return ir::parse_graph(text + "}\n");
}

// The text with the first `from` in it replaced; there must be one.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("there is no '" + from + "'");
  return text.replace(at, from.size(), to);
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

// Random inputs of a graph at these sizes: reals in [-1, 1], integers in [0, 3], booleans of which
// the first in each row is true (a mask shows each row something).
inline std::vector<HostTensor> random_inputs(const ir::Graph& graph, const SymbolValues& sizes) {
  std::vector<HostTensor> inputs;
  uint64_t seed = 1;
  for (const ir::ValueId id : graph.inputs()) {
    const DType dtype = graph.type(id).dtype;
    const std::vector<int64_t> shape = evaluate(graph.type(id).shape, sizes);
    ++seed;
    inputs.push_back(is_floating(dtype)
                         ? cleave::testing::random_reals(dtype, shape, seed)
                         : cleave::testing::random_integers(dtype, shape, seed, 0, 3));
    if (dtype != DType::kBool) continue;
    for (int64_t i = 0; i < inputs.back().elements(); i += shape.back()) inputs.back().set(i, 1);
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
