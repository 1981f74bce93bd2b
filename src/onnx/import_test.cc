// Names, dimensions, order, functions and what is not supported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_model.h"

namespace cleave::onnx {
namespace {

using ::onnx::AttributeProto;
using ::onnx::TensorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TestModel relu(std::vector<TestDim> dims) {
  TestModel model;
  model.input("x", std::move(dims)).output("y");
  model.node("Relu", {"x"}, {"y"});
  return model;
}

Shape input_shape(const TestModel& model, const ImportOptions& options = {}) {
  const ir::Graph graph = model.load(options);
  return graph.type(graph.inputs()[0]).shape;
}

TEST(Import, TwoLayers) {
  TestModel model;
  model.input("x", {"rows", 2}).output("y");
  model.initializer("w", floats({2, 3}, {1, 2, 3, 4, 5, 6}));
  model.initializer("b", floats({3}, {-30, 0, 30}));
  auto& gemm = model.node("Gemm", {"x", "w", "b"}, {"h"});
  set(gemm, "alpha", 2.0);
  model.node("Relu", {"h"}, {"y"});
  const auto y = model.run({floats({1, 2}, {1, 2})});
  EXPECT_THAT(values_of(y[0]), ElementsAre(0, 24, 60));
}

TEST(Import, KeepsNames) {
  TestModel model;
  model.input("in put/0", {2}).output("out:put").output("again");
  model.node("Relu", {"in put/0"}, {"mid"});
  model.node("Gelu", {"mid"}, {"out:put"}).set_name("the gelu");
  model.node("Identity", {"out:put"}, {"again"});
  model.proto().mutable_opset_import(0)->set_version(20);
  const ir::Graph graph = model.load();
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "in put/0");
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "out:put");
  EXPECT_EQ(graph.value(graph.outputs()[1]).name, "again");
  EXPECT_NE(graph.outputs()[0], graph.outputs()[1]);
  EXPECT_TRUE(graph.find_node("node:mid").has_value());
  EXPECT_EQ(graph.node(*graph.find_node("the gelu")).op, "gelu");
  EXPECT_TRUE(graph.find_value("mid").has_value());
}

// Inputs and constants that are outputs get a maker.
TEST(Import, OutputsThatNothingComputes) {
  TestModel model;
  model.input("x", {2}).output("x").output("c");
  model.initializer("c", floats({1}, {7}));
  model.node("Relu", {"x"}, {"unused"});
  const ir::Graph graph = model.load();
  EXPECT_EQ(graph.value(graph.outputs()[1]).name, "c");
  const auto y = model.run({floats({2}, {1, 2})});
  EXPECT_THAT(values_of(y[0]), ElementsAre(1, 2));
  EXPECT_THAT(values_of(y[1]), ElementsAre(7));
}

TEST(Import, OpenDimensions) {
  EXPECT_EQ(text_of(input_shape(relu({"batch", 3, -1}))), "[batch, 3, x.2]");
  // Names that expressions cannot hold, and names that would become one.
  EXPECT_EQ(text_of(input_shape(relu({"a b", "a_b", "7", "a+b"}))), "[a_b, a_b#2, _7, a_b#3]");
  TestModel model = relu({"past + 1"});
  model.input("p", {"past"});
  EXPECT_EQ(text_of(input_shape(model)), "[past + 1]");
  // No name at all: two dimensions, whatever they are.
  EXPECT_EQ(text_of(input_shape(relu({"?", "?", "*"}))), "[x.0, x.1, x.2]");
}

TEST(Import, StaticShapes) {
  ImportOptions options;
  options.static_shapes = {{"x", {4, -1}}};
  TestModel model = relu({"batch", "width"});
  model.input("z", {"batch", 5});
  ir::Graph graph = model.load(options);
  EXPECT_EQ(text_of(graph.type(graph.inputs()[0]).shape), "[4, width]");
  EXPECT_EQ(text_of(graph.type(graph.inputs()[1]).shape), "[4, 5]");

  const auto refusal = [&](std::vector<int64_t> shape, std::string name = "z") {
    options.static_shapes = {{"x", {4, -1}}, {std::move(name), std::move(shape)}};
    const Error error = error_of([&] { model.load(options); });
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.message();
  };
  EXPECT_THAT(refusal({3, 5}), HasSubstr("makes the dimension 'batch' 3"));
  EXPECT_THAT(refusal({4, 6}), HasSubstr("has 6 in dimension 1, the model has 5"));
  EXPECT_THAT(refusal({4}), HasSubstr("has 1 dimensions"));
  EXPECT_THAT(refusal({4, -3}), HasSubstr("negative"));
  EXPECT_THAT(refusal({4, 5}, "nothing"), HasSubstr("'nothing', which is no input"));
}

TEST(Import, StaticShapesOfExpressions) {
  ImportOptions options;
  TestModel model = relu({"past + 1"});
  model.input("p", {"past"});
  options.static_shapes = {{"p", {3}}, {"x", {4}}};
  EXPECT_EQ(text_of(input_shape(model, options)), "[4]");
  options.static_shapes[1].second = {5};
  EXPECT_EQ(error_of([&] { model.load(options); }).code(), ErrorCode::kUsage);
}

TEST(Import, DeclaredTypesAreChecked) {
  TestModel model = relu({"rows", 3});
  TestModel::fill(*model.graph().add_value_info(), "y", {"other", 3}, TensorProto::FLOAT);
  model.load();
  const auto refusal = [&](std::vector<TestDim> dims, int type) {
    auto* info = model.graph().mutable_value_info(0);
    info->Clear();
    TestModel::fill(*info, "y", dims, type);
    model.graph().mutable_output(0)->clear_type();
    return error_of([&] { model.load(); }).message();
  };
  // The declaration of the output is another one than value_info's.
  model.graph().clear_output();
  model.node("Relu", {"y"}, {"z"});
  model.output("z");
  EXPECT_THAT(refusal({"rows", 4}, TensorProto::FLOAT), HasSubstr("4 in dimension 1"));
  EXPECT_THAT(refusal({"rows"}, TensorProto::FLOAT), HasSubstr("1 dimensions"));
  EXPECT_THAT(refusal({"rows", 3}, TensorProto::INT64), HasSubstr("element type INT64"));
}

TEST(Import, SortsNodes) {
  TestModel model;
  model.input("x", {1}).output("y");
  model.node("Neg", {"b"}, {"y"});
  model.node("Exp", {"a"}, {"b"});
  model.node("Relu", {"x"}, {"a"});
  EXPECT_THAT(ops_of(model.load()), ElementsAre("relu", "exp", "neg"));
}

TEST(Import, NamesThatDoNotFit) {
  TestModel cycle;
  cycle.input("x", {1}).output("y");
  cycle.node("Add", {"x", "c"}, {"a"});
  cycle.node("Neg", {"a"}, {"b"});
  cycle.node("Exp", {"b"}, {"c"});
  cycle.node("Neg", {"c"}, {"y"});
  const std::string message = error_of([&] { cycle.load(); }).message();
  EXPECT_THAT(message, HasSubstr("a cycle of 3 nodes"));
  EXPECT_THAT(message, HasSubstr("Exp 'node:c'"));
  EXPECT_THAT(message, Not(HasSubstr("node:y")));

  TestModel twice = relu({1});
  twice.node("Exp", {"x"}, {"y"}).set_name("second");
  EXPECT_THAT(error_of([&] { twice.load(); }).message(),
              HasSubstr("'y' is made twice: by Relu 'node:y' and by Exp 'second'"));

  TestModel over_input = relu({1});
  over_input.node("Exp", {"y"}, {"x"});
  EXPECT_THAT(error_of([&] { over_input.load(); }).message(), HasSubstr("made twice"));

  TestModel missing = relu({1});
  missing.node("Exp", {"no\nwhere"}, {"z"});
  EXPECT_THAT(error_of([&] { missing.load(); }).message(),
              HasSubstr("'no\\x0awhere' is read by Exp 'node:z' but nothing makes it"));

  TestModel no_output = relu({1});
  no_output.output("nowhere");
  EXPECT_THAT(error_of([&] { no_output.load(); }).message(), HasSubstr("the graph's outputs"));
  no_output.graph().clear_output();
  EXPECT_THAT(error_of([&] { no_output.load(); }).message(), HasSubstr("no outputs"));

  TestModel inputs = relu({1});
  inputs.input("x", {1});
  EXPECT_THAT(error_of([&] { inputs.load(); }).message(), HasSubstr("two inputs"));
}

TEST(Import, TypeErrorsNameTheNode) {
  TestModel model;
  model.input("x", {2}).input("i", {3}, TensorProto::FLOAT).output("y");
  model.node("Add", {"x", "i"}, {"y"}).set_name("the sum");
  const Error error = error_of([&] { model.load(); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  EXPECT_THAT(error.message(), HasSubstr("[2] and [3] do not broadcast"));
  EXPECT_THAT(error.places(), ::testing::Contains("Add 'the sum'"));
}

TEST(Import, ListsAllThatIsNotSupported) {
  TestModel model;
  model.input("x", {2}).input("n", {}, TensorProto::INT64).output("y").output("z");
  model.node("NonZero", {"x"}, {"a"});
  model.node("Exp", {"a"}, {"b"});     // only because of what is before it
  model.node("Unique", {"b"}, {"c"});  // on its own account
  model.node("Reshape", {"x", "n1"}, {"y"});
  model.node("Unsqueeze", {"n", "zero"}, {"n1"});
  model.initializer("zero", integers({1}, {0}));
  model.node("Strange", {"c"}, {"z"}).set_domain("com.example");
  const Error error = error_of([&] { model.load(); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("4 nodes are not supported"));
  EXPECT_THAT(error.message(), HasSubstr("NonZero 'node:a'"));
  EXPECT_THAT(error.message(), HasSubstr("Unique 'node:c'"));
  EXPECT_THAT(error.message(), HasSubstr("Reshape 'node:y': the dimensions of the result depend"));
  EXPECT_THAT(error.message(), HasSubstr("com.example.Strange 'node:z'"));
  EXPECT_THAT(error.message(), Not(HasSubstr("Exp")));
}

TEST(Import, UnsupportedTypesAndVersions) {
  TensorProto text;
  text.set_name("s");
  text.set_data_type(TensorProto::STRING);
  TestModel model;
  model.output("y");
  *model.graph().add_initializer() = text;
  model.node("Identity", {"s"}, {"y"});
  const Error error = error_of([&] { model.load(); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("element type STRING"));
  for (const int64_t version : {6, 99}) {
    EXPECT_THAT(error_of([&] { TestModel(version).output("y").load(); }).message(),
                HasSubstr("operator set " + std::to_string(version)));
  }
}

class Functions : public ::testing::Test {
 protected:
  Functions() {
    model_.import("local", 1);
    model_.input("x", {2}).output("y");
  }
  ::onnx::FunctionProto& function(const std::string& name, std::vector<std::string> inputs,
                                  std::vector<std::string> outputs) {
    auto* function = model_.proto().add_functions();
    function->set_name(name);
    function->set_domain("local");
    for (const auto& input : inputs) function->add_input(input);
    for (const auto& output : outputs) function->add_output(output);
    function->add_opset_import()->set_version(17);
    auto* local = function->add_opset_import();
    local->set_domain("local");
    local->set_version(1);
    return *function;
  }
  ::onnx::NodeProto& call(const std::string& name, std::vector<std::string> inputs,
                          std::vector<std::string> outputs) {
    auto& node = model_.node(name, inputs, outputs);
    node.set_domain("local");
    return node;
  }
  static void hand_through(::onnx::NodeProto& node, const std::string& name,
                           const std::string& from) {
    attribute(node, name, AttributeProto::FLOAT).set_ref_attr_name(from);
  }

  TestModel model_;
};

TEST_F(Functions, AreInlined) {
  // Scaled(x) = leaky(x) + x with a temporary that is called as a tensor of the graph.
  auto& inner = function("Leaky", {"a"}, {"b"});
  inner.add_attribute("slope");
  hand_through(TestModel::fill_node(*inner.add_node(), "LeakyRelu", {"a"}, {"b"}), "alpha",
               "slope");
  auto& outer = function("Scaled", {"a"}, {"b"});
  auto* slope = outer.add_attribute_proto();
  slope->set_name("slope");
  slope->set_type(AttributeProto::FLOAT);
  slope->set_f(0.5f);
  auto& leaky = TestModel::fill_node(*outer.add_node(), "Leaky", {"a"}, {"x"});
  leaky.set_domain("local");
  hand_through(leaky, "slope", "slope");
  TestModel::fill_node(*outer.add_node(), "Add", {"x", "a"}, {"b"});

  set(call("Scaled", {"x"}, {"h"}), "slope", 0.25);
  call("Scaled", {"h"}, {"y"});  // the default
  EXPECT_THAT(values_of(model_.run({floats({2}, {-8, 1})})[0]), ElementsAre(-15, 4));
  const ir::Graph graph = model_.load();
  EXPECT_TRUE(graph.find_node("node:h/node:x/node:b").has_value());
}

TEST_F(Functions, MayHandInputsThrough) {
  auto& same = function("Same", {"a", "b"}, {"a", "c"});
  TestModel::fill_node(*same.add_node(), "Relu", {"a"}, {"c"});
  call("Same", {"x"}, {"y", ""});
  EXPECT_THAT(values_of(model_.run({floats({2}, {-8, 1})})[0]), ElementsAre(-8, 1));
}

TEST_F(Functions, MayNotCallThemselves) {
  auto& first = function("First", {"a"}, {"b"});
  TestModel::fill_node(*first.add_node(), "Second", {"a"}, {"b"}).set_domain("local");
  auto& second = function("Second", {"a"}, {"b"});
  TestModel::fill_node(*second.add_node(), "First", {"a"}, {"b"}).set_domain("local");
  call("First", {"x"}, {"y"});
  EXPECT_THAT(error_of([&] { model_.load(); }).message(), HasSubstr("calls itself"));
}

// Each function calls the one before twice: 2^40 nodes.
TEST_F(Functions, MayNotGrowWithoutBounds) {
  TestModel::fill_node(*function("F0", {"a"}, {"b"}).add_node(), "Relu", {"a"}, {"b"});
  for (int i = 1; i <= 40; ++i) {
    auto& next = function("F" + std::to_string(i), {"a"}, {"b"});
    const std::string before = "F" + std::to_string(i - 1);
    TestModel::fill_node(*next.add_node(), before, {"a"}, {"t"}).set_domain("local");
    TestModel::fill_node(*next.add_node(), before, {"t"}, {"b"}).set_domain("local");
  }
  call("F40", {"x"}, {"y"});
  EXPECT_THAT(error_of([&] { model_.load(); }).message(),
              HasSubstr("once its functions are inlined"));
}

}  // namespace
}  // namespace cleave::onnx
