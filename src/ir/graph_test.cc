#include "ir/graph.h"

#include <gtest/gtest.h>

#include "base/check.h"

namespace cleave::ir {
namespace {

const TensorType kType{DType::kFloat32, {2}};

class GraphTest : public ::testing::Test {
 protected:
  ValueId add(std::string_view name, std::vector<ValueId> inputs) {
    return graph.node(graph.add_node(name, "f", {}, std::move(inputs), {kType})).outputs[0];
  }
  std::vector<std::string> order() const {
    std::vector<std::string> names;
    for (NodeId id : graph.order()) names.push_back(graph.node(id).name);
    return names;
  }

  Graph graph;
  ValueId x = graph.add_input("x", kType);
};

TEST_F(GraphTest, NamesAreUnique) {
  const ValueId a = add("a", {x});
  const ValueId b = add("a", {x});
  EXPECT_EQ(graph.value(a).name, "a");
  EXPECT_NE(graph.value(b).name, "a");
  EXPECT_NE(graph.node(graph.value(b).producer).name, "a");
  EXPECT_EQ(graph.find_value("a"), a);
  EXPECT_EQ(graph.find_value("none"), std::nullopt);
}

TEST_F(GraphTest, SeveralOutputsHaveNamesAndIndices) {
  const NodeId id = graph.add_node("s", "split", {}, {x}, {kType, kType}, {"left"});
  const Node& node = graph.node(id);
  EXPECT_EQ(graph.value(node.outputs[0]).name, "left");
  EXPECT_EQ(graph.value(node.outputs[1]).name, "s:1");
  EXPECT_EQ(graph.value(node.outputs[1]).output_index, 1u);
  EXPECT_EQ(graph.value(node.outputs[1]).producer, id);
}

TEST_F(GraphTest, InsertedNodesComeBefore) {
  const ValueId b = add("b", {x});
  graph.insert_node(graph.value(b).producer, "a", "f", {}, {x}, {kType});
  EXPECT_EQ(order(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(GraphTest, UsesAreReplacedInNodesAndOutputs) {
  const ValueId a = add("a", {x});
  const ValueId b = add("b", {a, a});
  graph.set_outputs({a, b});
  EXPECT_EQ(graph.uses()[a.index()].size(), 2u);
  graph.replace_uses(a, x);
  EXPECT_TRUE(graph.uses()[a.index()].empty());
  EXPECT_EQ(graph.uses()[x.index()].size(), 3u);
  EXPECT_EQ(graph.outputs(), (std::vector<ValueId>{x, b}));
  EXPECT_TRUE(graph.is_output(x));
  EXPECT_FALSE(graph.is_output(a));
}

TEST_F(GraphTest, CompactDropsWhatIsErased) {
  const ValueId a = add("a", {x});
  const ValueId b = add("b", {x});
  const ValueId unused = graph.add_constant("unused", constant_fill(DType::kFloat32, {2}, 1));
  graph.set_outputs({b});
  graph.erase(graph.value(a).producer);
  graph.compact();
  EXPECT_EQ(order(), std::vector<std::string>{"b"});
  EXPECT_EQ(graph.value_count(), 2u);
  EXPECT_EQ(graph.node_count(), 1u);
  EXPECT_EQ(graph.find_value("a"), std::nullopt);
  EXPECT_EQ(graph.find_value("unused"), std::nullopt);
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "b");
  verify_structure(graph);
  EXPECT_EQ(graph.value(add("a", {graph.inputs()[0]})).name, "a");  // the name is free again
  (void)unused;
}

TEST_F(GraphTest, AbsentOperandsAreNoUses) {
  add("a", {x, ValueId()});
  verify_structure(graph);
  EXPECT_EQ(graph.uses()[x.index()].size(), 1u);
}

TEST_F(GraphTest, WrongStructureIsFound) {
  const ValueId a = add("a", {x});
  const ValueId b = add("b", {a});
  const NodeId first = graph.value(a).producer;
  verify_structure(graph);
  graph.node(first).inputs[0] = b;  // used before it is made
  EXPECT_THROW(verify_structure(graph), Error);
  graph.node(first).inputs[0] = x;
  graph.value(a).output_index = 1;
  EXPECT_THROW(verify_structure(graph), Error);
  graph.value(a).output_index = 0;
  graph.node(first).name = "b";
  EXPECT_THROW(verify_structure(graph), Error);
  graph.node(first).name = "a";
  verify_structure(graph);
  graph.set_outputs({a});
  graph.erase(first);  // still used
  EXPECT_THROW(verify_structure(graph), Error);
}

}  // namespace
}  // namespace cleave::ir
