// Shapes that models compute: followed as expressions, none of it left in the graph.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/symbolic.h"
#include "onnx/test_model.h"

namespace cleave::onnx {
namespace {

using ::onnx::TensorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A model with an input x and helpers that name tensors by themselves.
class Shapes : public ::testing::Test {
 protected:
  void x(std::vector<TestDim> dims, int type = TensorProto::FLOAT) {
    model_.input("x", std::move(dims), type);
  }
  std::string add(const std::string& op, const std::vector<std::string>& inputs) {
    return node(op, inputs).output(0);
  }
  ::onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs) {
    return model_.node(op, inputs, {"t" + std::to_string(next_++)});
  }
  std::string ints(const std::vector<double>& values) {
    const std::string name = "c" + std::to_string(next_++);
    model_.initializer(name, integers({static_cast<int64_t>(values.size())}, values));
    return name;
  }
  std::string scalar(double value, DType dtype = DType::kInt64) {
    const std::string name = "c" + std::to_string(next_++);
    model_.initializer(name, tensor_of(dtype, {}, {value}));
    return name;
  }
  // One dimension of x as a scalar.
  std::string size(double axis) { return add("Gather", {add("Shape", {"x"}), scalar(axis)}); }
  std::string list(const std::vector<std::string>& scalars) {
    std::vector<std::string> parts;
    for (const auto& name : scalars) parts.push_back(add("Unsqueeze", {name, ints({0})}));
    auto& concat = node("Concat", parts);
    set(concat, "axis", int64_t{0});
    return concat.output(0);
  }
  // The shape of the only output, and the ops that make it.
  std::string shape_of(const std::string& tensor) {
    model_.output(tensor);
    graph_ = model_.load();
    return text_of(graph_.type(graph_.outputs()[0]).shape);
  }

  TestModel model_;
  int next_ = 0;
  ir::Graph graph_;
};

TEST_F(Shapes, ReshapeByOwnDimensions) {
  x({"batch", "rows", 12});
  const std::string y = add("Reshape", {"x", list({size(0), size(1), scalar(3), scalar(4)})});
  EXPECT_EQ(shape_of(y), "[batch, rows, 3, 4]");
  EXPECT_THAT(ops_of(graph_), ElementsAre("reshape"));
  EXPECT_TRUE(graph_.guards().empty());
}

TEST_F(Shapes, ReshapeKeepsAndInfers) {
  x({"batch", "rows", 12});
  EXPECT_EQ(shape_of(add("Reshape", {"x", ints({0, -1})})), "[batch, 12*rows]");
}

TEST_F(Shapes, ReshapeThatIsNotProvablyExact) {
  x({"n"});
  EXPECT_EQ(shape_of(add("Reshape", {"x", ints({4, -1})})), "[4, floordiv(n, 4)]");
  ASSERT_EQ(graph_.guards().size(), 1u);
  const ops::Registry registry = ops::Registry::builtin();
  EXPECT_EQ(ops::interpret(graph_, registry, {HostTensor(DType::kFloat32, {8})})[0].shape,
            (std::vector<int64_t>{4, 2}));
  EXPECT_THROW(ops::interpret(graph_, registry, {HostTensor(DType::kFloat32, {9})}), Error);
}

TEST_F(Shapes, ReshapeByArithmetic) {
  x({"batch", "rows"});
  // [batch / 1 * 2, rows * batch / (batch * 2)]: exact only in the end.
  const std::string elements = add("ReduceProd", {add("Shape", {"x"})});
  const std::string twice = add("Mul", {size(0), scalar(2)});
  const std::string rest = add("Div", {add("Squeeze", {elements, ints({0})}), size(0)});
  EXPECT_EQ(shape_of(add("Expand", {scalar(0, DType::kFloat32), list({twice, rest})})),
            "[2*batch, rows]");
}

TEST_F(Shapes, FloatingPointSizes) {
  x({"n", 3});
  // floor(n * 0.5), as resizing does.
  auto& cast = node("Cast", {size(0)});
  set(cast, "to", int64_t{TensorProto::FLOAT});
  const std::string half =
      add("Floor", {add("Mul", {cast.output(0), scalar(0.5, DType::kFloat32)})});
  auto& back = node("Cast", {half});
  set(back, "to", int64_t{TensorProto::INT64});
  EXPECT_EQ(shape_of(add("Expand", {scalar(0, DType::kFloat32), list({back.output(0), size(1)})})),
            "[floordiv(n, 2), 3]");
}

// What PyTorch writes for expand(-1, ..): -1 stands for the operand's own size.
TEST_F(Shapes, ExpandByWhere) {
  x({"batch", 1, 4});
  const std::string wanted = list({size(0), scalar(7), scalar(-1)});
  auto& ones = node("ConstantOfShape", {ints({3})});
  set(ones, "value", integers({1}, {1}));
  const std::string is_own = add("Equal", {wanted, ints({-1, -1, -1})});
  EXPECT_EQ(shape_of(add("Expand", {"x", add("Where", {is_own, ones.output(0), wanted})})),
            "[batch, 7, 4]");
  EXPECT_THAT(ops_of(graph_), ElementsAre("broadcast"));
}

TEST_F(Shapes, SliceByASize) {
  x({"batch", "rows"}, TensorProto::INT64);
  model_.initializer("table", HostTensor(DType::kFloat32, {1, 512}));
  const std::string bound = add("Unsqueeze", {size(1), ints({0})});
  EXPECT_EQ(shape_of(add("Slice", {"table", ints({0}), bound, ints({1})})), "[1, min(rows, 512)]");
}

TEST_F(Shapes, SliceOfAShape) {
  x({"a", "b", 3, 4});
  const std::string last_two = add("Slice", {add("Shape", {"x"}), ints({-2}), ints({1e18})});
  const std::string first = add("Slice", {add("Shape", {"x"}), ints({0}), ints({1})});
  auto& joined = node("Concat", {last_two, first, ints({-1})});
  set(joined, "axis", int64_t{0});
  EXPECT_EQ(shape_of(add("Reshape", {"x", joined.output(0)})), "[3, 4, a, b]");
}

TEST_F(Shapes, RangeOfASize) {
  x({"batch", "rows"});
  EXPECT_EQ(shape_of(add("Range", {scalar(0), size(1), scalar(1)})), "[rows]");
  EXPECT_THAT(ops_of(graph_), ElementsAre("iota"));
}

TEST_F(Shapes, SizesAsData) {
  x({"batch", "rows"});
  auto& cast = node("Cast", {size(1)});
  set(cast, "to", int64_t{TensorProto::FLOAT});
  model_.output(add("Mul", {"x", add("Sqrt", {cast.output(0)})}));
  graph_ = model_.load();
  EXPECT_THAT(ops_of(graph_), ElementsAre("shape_values", "sqrt", "broadcast", "mul"));
  const auto y = model_.run({floats({1, 4}, {1, 2, 3, 4})});
  EXPECT_THAT(values_of(y[0]), ElementsAre(2, 4, 6, 8));
}

TEST_F(Shapes, ShapesAsOutputs) {
  x({"batch", 3});
  model_.output(add("Shape", {"x"})).output(add("Size", {"x"}));
  const auto y = model_.run({HostTensor(DType::kFloat32, {2, 3})});
  EXPECT_THAT(values_of(y[0]), ElementsAre(2, 3));
  EXPECT_THAT(values_of(y[1]), ElementsAre(6));
  EXPECT_TRUE(y[1].shape.empty());
}

TEST_F(Shapes, SplitOfAnOpenDimension) {
  x({"n"});
  auto& split = model_.node("Split", {"x"}, {"a", "b"});
  set(split, "axis", int64_t{0});
  model_.output("a").output("b");
  graph_ = model_.load();
  EXPECT_EQ(graph_.type(graph_.outputs()[0]).text(), "f32[floordiv(n, 2)]");
  EXPECT_FALSE(graph_.guards().empty());
}

TEST_F(Shapes, ThatDependOnData) {
  x({2}, TensorProto::INT64);
  const std::string y = add("Expand", {scalar(1), "x"});
  const Error error = error_of([&] { shape_of(y); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("depend on data: the tensor 'x'"));
}

TEST_F(Shapes, ThatCannotBe) {
  x({"n", 5});
  EXPECT_EQ(error_of([&] {
              shape_of(add("Reshape", {"x", ints({3, -1, -1})}));
            }).code(),
            ErrorCode::kInvalid);
}

TEST(Symbolic, Provable) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(provably_equal(n, -1), std::optional(false));
  EXPECT_EQ(provably_equal(n, n), std::optional(true));
  EXPECT_EQ(provably_equal(n, 1), std::nullopt);
  EXPECT_EQ(provably_less(n, n + 1), std::optional(true));
  EXPECT_EQ(provably_less(n, 0), std::optional(false));
  EXPECT_EQ(simple_min(n + 1, n), n);
  EXPECT_EQ(simple_max(n, 0), n);
  EXPECT_EQ(simple_max(n - 1, 0), max(n - 1, 0));
}

TEST(Symbolic, BroadcastShapes) {
  const Dim n = Dim::symbol("n");
  const Dim m = Dim::symbol("m");
  EXPECT_EQ(broadcast_shapes({{n, 1}, {3}}), (Shape{n, 3}));
  EXPECT_EQ(broadcast_shapes({{1}, {}}), (Shape{1}));
  EXPECT_EQ(broadcast_shapes({{n}, {4}}), (Shape{4}));
  EXPECT_EQ(broadcast_shapes({{simple_min(n, 7)}, {m}}), (Shape{m}));
  EXPECT_THROW(broadcast_shapes({{2}, {3}}), Error);
}

}  // namespace
}  // namespace cleave::onnx
