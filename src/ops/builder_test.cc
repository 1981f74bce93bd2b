#include "ops/builder.h"

#include <gtest/gtest.h>

#include "ops/interpreter.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

const DType kF32 = DType::kFloat32;

class BuilderTest : public ::testing::Test {
 protected:
  Registry registry = Registry::builtin();
  ir::Graph graph;
  Builder builder{graph, registry};
  ir::ValueId x = graph.add_input("x", {kF32, {2, 3}});

  std::string verify_error() {
    try {
      verify(graph, registry);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal);
      return error.what();
    }
    return "";
  }
};

TEST_F(BuilderTest, InfersTypesAndNames) {
  const ir::ValueId y = builder.add1("node", "exp", {}, {x}, "result");
  EXPECT_EQ(graph.value(y).name, "result");
  EXPECT_EQ(builder.type(y).text(), "f32[2, 3]");
  EXPECT_EQ(verify_error(), "");
}

TEST_F(BuilderTest, ErrorsNameTheNode) {
  try {
    builder.add1("twice", "add", {}, {x});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_NE(std::string(error.what()).find("at: add 'twice'"), std::string::npos);
  }
  EXPECT_THROW(builder.add1("u", "no_such_op", {}, {x}), Error);
}

TEST_F(BuilderTest, AttributesAreChecked) {
  EXPECT_THROW(builder.add1("c", "cast", {}, {x}), Error);                  // missing
  EXPECT_THROW(builder.add1("c", "cast", {{"to", Dim(1)}}, {x}), Error);    // wrong kind
  EXPECT_THROW(builder.add1("e", "exp", {{"speed", Dim(1)}}, {x}), Error);  // unknown
  EXPECT_THROW(builder.add1("t", "transpose", {{"perm", Shape{Dim::symbol("n"), 0}}}, {x}), Error);
}

TEST_F(BuilderTest, InsertsBefore) {
  const ir::ValueId y = builder.add1("y", "exp", {}, {x});
  graph.set_outputs({y});
  builder.insert_before(graph.value(y).producer);
  builder.add1("z", "neg", {}, {x});
  std::vector<std::string> names;
  for (ir::NodeId id : graph.order()) names.push_back(graph.node(id).name);
  EXPECT_EQ(names, (std::vector<std::string>{"z", "y"}));
}

TEST_F(BuilderTest, BroadcastOfTheRightShapeIsTheValue) {
  EXPECT_EQ(builder.broadcast(x, {2, 3}), x);
  EXPECT_NE(builder.broadcast(x, {4, 2, 3}), x);
}

TEST_F(BuilderTest, VerifyFindsWrongTypes) {
  const ir::ValueId y = builder.add1("y", "exp", {}, {x});
  graph.value(y).type.shape[1] = 4;
  EXPECT_NE(verify_error().find("exp 'y'"), std::string::npos);
  graph.value(y).type = {DType::kInt32, {2, 3}};
  EXPECT_NE(verify_error(), "");
  graph.value(y).type = {kF32, {2, 3}};
  EXPECT_EQ(verify_error(), "");
  // What may be equal is accepted: the guard that says so may be in another form.
  graph.value(y).type.shape[1] = Dim::symbol("n");
  EXPECT_EQ(verify_error(), "");
  graph.add_node("u", "no_such_op", {}, {x}, {});
  EXPECT_NE(verify_error().find("no_such_op 'u'"), std::string::npos);
}

TEST_F(BuilderTest, SmallConstantsAreValuesOfTheContext) {
  const ir::ValueId small = builder.scalar(kF32, 2);
  const ir::ValueId large =
      graph.add_constant("large", ir::constant_fill(kF32, {ir::kSmallConstantBytes}, 1));
  const ir::ValueId local = graph.add_local_constant(
      "local", {kF32, {1}}, ir::constant_value(HostTensor(kF32, {2})), {{{Dim::rank(), 1}}});
  ir::Node node;
  node.inputs = {small, large, local, ir::ValueId(), x};
  const NodeContext owner(graph, node);
  const OpContext context = owner;
  ASSERT_NE(context.values[0], nullptr);
  EXPECT_EQ(context.values[0]->get(0), 2);
  EXPECT_EQ(context.values[1], nullptr);
  EXPECT_EQ(context.values[2], nullptr);
  EXPECT_FALSE(context.has(3));
  EXPECT_TRUE(context.has(4));
  EXPECT_FALSE(context.has(5));
}

TEST_F(BuilderTest, DecompositionsOfActivationsAreEqualToThem) {
  for (const std::string op : {"gelu", "gelu_tanh", "silu", "hard_swish", "hard_sigmoid"}) {
    ir::Graph whole;
    Builder b(whole, registry);
    const ir::ValueId input = whole.add_input("x", {DType::kFloat64, {Dim::symbol("n"), 4}});
    const ir::ValueId y =
        b.add1("y", op, op == "hard_sigmoid" ? Attributes{{"alpha", 0.2}} : Attributes{}, {input});
    whole.set_outputs({y});
    const HostTensor value = testing::random_reals(DType::kFloat64, {5, 4}, 1, -4, 4);
    const auto expected = interpret(whole, registry, {value});
    const ir::NodeId id = whole.value(y).producer;
    ASSERT_TRUE(registry.at(op).is_composite());
    const auto parts = registry.at(op).decompose(whole, whole.node(id));
    whole.replace_uses(y, parts.at(0));
    whole.erase(id);
    whole.compact();
    verify(whole, registry);
    const auto actual = interpret(whole, registry, {value});
    EXPECT_EQ(testing::difference(actual[0], expected[0], 1e-14), "") << op;
  }
}

}  // namespace
}  // namespace cleave::ops
