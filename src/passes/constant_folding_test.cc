#include "passes/constant_folding.h"

#include <cmath>

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::ops_of;

const SymbolValues kSizes{{"n", 5}};
const DType kF32 = DType::kFloat32;

TEST(ConstantFolding, SmallResultsAreComputed) {
  const ir::Graph graph = checked(R"(
  input %x : f32[2, 3]
  constant %a : f32[2, 3] = [1, 2, 3, 4, 5, 6]
  constant %b : f32[3] = [10, 20, 30]
  %wide = broadcast(%b) {shape=[2, 3]} : f32[2, 3]
  %sum = add(%a, %wide) : f32[2, 3]
  %root = sqrt(%sum) : f32[2, 3]
  %index = iota() {axis=1, shape=[2, 3], to=type(f32)} : f32[2, 3]
  %total = mul(%root, %index) : f32[2, 3]
  %y = add(%x, %total) : f32[2, 3]
  return %y)",
                                  constant_folding);
  // The broadcast is not read any more; dropping it is for dead_code.
  EXPECT_EQ(ops_of(graph), "add=1");
  const ir::ValueId constant = testing::only(graph, "add").inputs[1];
  ASSERT_TRUE(graph.value(constant).is_constant());
  EXPECT_FLOAT_EQ(static_cast<float>(graph.value(constant).constant->read_all().get(5)),
                  2 * std::sqrt(36.0f));
}

TEST(ConstantFolding, ElementwiseOpsOfNumbersStayBroadcast) {
  const ir::Graph graph = checked(R"(
  input %x : f32[n, 3]
  constant %a : f32[] = [3]
  constant %b : f32[1] = [4]
  %wide_a = broadcast(%a) {shape=[n, 3]} : f32[n, 3]
  %wide_b = broadcast(%b) {shape=[n, 3]} : f32[n, 3]
  %product = mul(%wide_a, %wide_b) : f32[n, 3]
  %y = add(%x, %product) : f32[n, 3]
  return %y)",
                                  constant_folding, kSizes, 0);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=1");
  const ir::ValueId number = testing::only(graph, "broadcast").inputs[0];
  EXPECT_EQ(graph.value(number).constant->read_all().get(0), 12);
}

TEST(ConstantFolding, SizesThatAreKnownAreNumbers) {
  const ir::Graph graph = checked(R"(
  input %x : i64[2]
  %known = shape_values() {to=type(i64), values=[3, 4]} : i64[2]
  %open = shape_values() {to=type(i64), values=[n, 4]} : i64[2]
  %a = add(%x, %known) : i64[2]
  %y = add(%a, %open) : i64[2]
  input %z : f32[n]
  return %y, %z)",
                                  constant_folding, kSizes, 0);
  EXPECT_EQ(ops_of(graph), "add=2 shape_values=1");
}

TEST(ConstantFolding, ResultsOfTheGraphStayNodes) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph = testing::graph_of(R"(
  constant %a : f32[2] = [1, 2]
  %y = neg(%a) : f32[2]
  return %y)");
  EXPECT_FALSE(constant_folding(graph, registry));
  EXPECT_EQ(ops_of(graph), "neg=1");
}

// Moves of large constants: folded without being read, and right when they are.
TEST(ConstantFolding, LargeConstantsBecomeRecipes) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph;
  ops::Builder builder(graph, registry);
  const ir::RecipePtr noise = ir::constant_noise(kF32, {128, 256}, 3, 1);
  const ir::ValueId x = graph.add_input("x", {kF32, {256, 128}});
  const ir::ValueId w = graph.add_constant("w", noise);
  const std::vector<Dim> halves{128, 128};
  const auto parts = builder.add("parts", "split", {{"axis", Dim(1)}, {"sizes", halves}}, {w});
  const ir::ValueId joined =
      builder.add1("joined", "concat", {{"axis", Dim(1)}}, {parts[1], parts[0]});
  const ir::ValueId turned = builder.add1("turned", "transpose", {{"perm", Shape{1, 0}}}, {joined});
  const ir::ValueId flat =
      builder.add1("flat", "reshape", {{"shape", Shape{2, 128, 128}}}, {turned});
  const ir::ValueId cut = builder.add1(
      "cut", "slice",
      {{"begin", Shape{1, 0, 0}}, {"extent", Shape{1, 128, 128}}, {"step", Shape{1, 1, 1}}},
      {flat});
  const ir::ValueId half = builder.add1("half", "cast", {{"to", DType::kFloat16}}, {cut});
  const ir::ValueId back = builder.add1("back", "cast", {{"to", kF32}}, {half});
  const ir::ValueId square =
      builder.add1("square", "reshape", {{"shape", Shape{128, 128}}}, {back});
  graph.set_outputs({builder.add1("y", "matmul", {}, {x, square})});
  const auto inputs = testing::random_inputs(graph, {});
  const auto expected = ops::interpret(graph, registry, inputs);
  EXPECT_TRUE(constant_folding(graph, registry));
  ops::verify(graph, registry);
  EXPECT_EQ(ops_of(graph), "matmul=1");
  EXPECT_EQ(ops::interpret(graph, registry, inputs), expected);
}

// A file of weights that is not there fails when it is read, and only then.
class AbsentSource : public ByteSource {
 public:
  const std::string& name() const override { return name_; }
  uint64_t size() const override { return uint64_t{1} << 40; }
  void read(uint64_t, std::span<std::byte>) const override {
    throw Error(ErrorCode::kInvalid, "absent");
  }

 private:
  std::string name_ = "absent";
};

TEST(ConstantFolding, AbsentWeightsAreNotRead) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph;
  ops::Builder builder(graph, registry);
  const auto source = std::make_shared<AbsentSource>();
  const ir::ValueId x = graph.add_input("x", {kF32, {2, 2}});
  const ir::ValueId small = graph.add_constant("s", ir::constant_file(source, 0, kF32, {2, 2}));
  const ir::ValueId large =
      graph.add_constant("l", ir::constant_file(source, 64, kF32, {200, 200}));
  const ir::ValueId a = builder.add1("a", "exp", {}, {small});
  const ir::ValueId b = builder.add1("b", "transpose", {{"perm", Shape{1, 0}}}, {large});
  const ir::ValueId c = builder.add1(
      "c", "slice", {{"begin", Shape{0, 0}}, {"extent", Shape{2, 2}}, {"step", Shape{1, 1}}}, {b});
  const ir::ValueId d = builder.add1("d", "add", {}, {a, c});
  graph.set_outputs({builder.add1("y", "add", {}, {x, d})});
  EXPECT_TRUE(constant_folding(graph, registry));
  ops::verify(graph, registry);
  EXPECT_EQ(ops_of(graph), "add=2 exp=1");
}

}  // namespace
}  // namespace cleave::passes
