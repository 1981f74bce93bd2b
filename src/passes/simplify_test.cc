#include "passes/simplify.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::ops_of;

const SymbolValues kSizes{{"n", 5}};

TEST(Simplify, DropsWhatChangesNothing) {
  const ir::Graph graph = checked(R"(
  input %x : f32[n, 4]
  constant %one : f32[] = [1]
  constant %zero : f32[4] = fill(0)
  %a = reshape(%x) {shape=[n, 4]} : f32[n, 4]
  %b = transpose(%a) {perm=[0, 1]} : f32[n, 4]
  %c = cast(%b) {to=type(f32)} : f32[n, 4]
  %d = slice(%c) {begin=[0, 0], extent=[n, 4], step=[1, 1]} : f32[n, 4]
  %e = broadcast(%d) {shape=[n, 4]} : f32[n, 4]
  %f = concat(%e) {axis=1} : f32[n, 4]
  %g = split(%f) {axis=1, sizes=[4]} : f32[n, 4]
  %ones = broadcast(%one) {shape=[n, 4]} : f32[n, 4]
  %zeros = broadcast(%zero) {shape=[n, 4]} : f32[n, 4]
  %h = mul(%ones, %g) : f32[n, 4]
  %i = add(%h, %zeros) : f32[n, 4]
  %j = div(%i, %ones) : f32[n, 4]
  %k = sub(%j, %zeros) : f32[n, 4]
  %l = pow(%k, %ones) : f32[n, 4]
  %y = exp(%l) : f32[n, 4]
  return %y)",
                                  simplify, kSizes);
  EXPECT_EQ(ops_of(graph), "exp=1");
}

TEST(Simplify, KeepsWhatChangesSomething) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4, 4]
  constant %one : f32[] = [1]
  constant %mixed : f32[4] = [1, 1, 1, 2]
  %ones = broadcast(%one) {shape=[4, 4]} : f32[4, 4]
  %most = broadcast(%mixed) {shape=[4, 4]} : f32[4, 4]
  %a = div(%ones, %x) : f32[4, 4]
  %b = sub(%ones, %a) : f32[4, 4]
  %c = mul(%b, %most) : f32[4, 4]
  %d = transpose(%c) {perm=[1, 0]} : f32[4, 4]
  %e = slice(%d) {begin=[0, 0], extent=[4, 2], step=[1, 2]} : f32[4, 2]
  %f = cast(%e) {to=type(f16)} : f16[4, 2]
  %y = cast(%f) {to=type(f32)} : f32[4, 2]
  return %y)",
                                  simplify);
  EXPECT_EQ(ops_of(graph), "broadcast=2 cast=2 div=1 mul=1 slice=1 sub=1 transpose=1");
}

// Heads as PyTorch's MultiheadAttention makes them: joined with the batch while they are
// transposed.
TEST(Simplify, DimensionsArePartedBeforeTheyAreTransposed) {
  const ir::Graph graph = checked(R"(
  input %x : f32[7, n, 12]
  %a = reshape(%x) {shape=[1, 7, 3*n, 4]} : f32[1, 7, 3*n, 4]
  %b = transpose(%a) {perm=[0, 2, 1, 3]} : f32[1, 3*n, 7, 4]
  %y = reshape(%b) {shape=[n, 3, 7, 2, 2, 1]} : f32[n, 3, 7, 2, 2, 1]
  return %y)",
                                  simplify, kSizes);
  EXPECT_EQ(ops_of(graph), "reshape=1 transpose=1");
  EXPECT_EQ(testing::only(graph, "reshape").attributes.dims("shape"),
            (Shape{7, Dim::symbol("n"), 3, 2, 2, 1}));
  EXPECT_EQ(testing::only(graph, "transpose").attributes.dims("perm"), (Shape{1, 2, 0, 3, 4, 5}));
}

TEST(Simplify, DimensionsThatAreJoinedAreTransposedFirst) {
  const ir::Graph graph = checked(R"(
  input %x : f32[7, n, 12]
  %a = reshape(%x) {shape=[7, n, 3, 4]} : f32[7, n, 3, 4]
  %b = transpose(%a) {perm=[1, 2, 0, 3]} : f32[n, 3, 7, 4]
  %y = reshape(%b) {shape=[3*n, 28]} : f32[3*n, 28]
  return %y)",
                                  simplify, kSizes);
  EXPECT_EQ(ops_of(graph), "reshape=2 transpose=1");
}

TEST(Simplify, ResultsAndInputsKeepTheirNames) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4]
  %y = reshape(%x) {shape=[4]} : f32[4]
  %a = exp(%x) : f32[4]
  %z = reshape(%a) {shape=[4]} : f32[4]
  return %y, %z)",
                                  simplify);
  // An input cannot be renamed to what a result is called.
  EXPECT_EQ(ops_of(graph), "exp=1 reshape=1");
}

TEST(Simplify, ChainsBecomeOneOp) {
  const ir::Graph graph = checked(R"(
  input %x : f16[n, 4, 6]
  %a = transpose(%x) {perm=[1, 2, 0]} : f16[4, 6, n]
  %b = transpose(%a) {perm=[1, 0, 2]} : f16[6, 4, n]
  %c = reshape(%b) {shape=[24, n]} : f16[24, n]
  %d = reshape(%c) {shape=[2, 12, n]} : f16[2, 12, n]
  %e = slice(%d) {begin=[0, 1, 0], extent=[2, 5, n], step=[1, 2, 1]} : f16[2, 5, n]
  %f = slice(%e) {begin=[1, 1, 0], extent=[1, 2, n], step=[1, 2, 1]} : f16[1, 2, n]
  %g = broadcast(%f) {shape=[3, 2, n]} : f16[3, 2, n]
  %h = broadcast(%g) {shape=[2, 3, 2, n]} : f16[2, 3, 2, n]
  %i = cast(%h) {to=type(f32)} : f32[2, 3, 2, n]
  %y = cast(%i) {to=type(f16)} : f16[2, 3, 2, n]
  return %y)",
                                  simplify, kSizes, 0);
  EXPECT_EQ(ops_of(graph), "broadcast=1 reshape=1 slice=1 transpose=1");
  EXPECT_EQ(testing::only(graph, "transpose").attributes.integers("perm"),
            (std::vector<int64_t>{2, 1, 0}));
  EXPECT_EQ(testing::only(graph, "slice").attributes.integers("step"),
            (std::vector<int64_t>{1, 4, 1}));
}

TEST(Simplify, TransposesOfTheLastTwoDimensionsGoIntoProducts) {
  const ir::Graph graph = checked(R"(
  input %x : f32[2, 3, n]
  input %w : f32[2, 4, 3]
  %xt = transpose(%x) {perm=[0, 2, 1]} : f32[2, n, 3]
  %wt = transpose(%w) {perm=[0, 2, 1]} : f32[2, 3, 4]
  %y = matmul(%xt, %wt) : f32[2, n, 4]
  return %y)",
                                  simplify, kSizes);
  EXPECT_EQ(ops_of(graph), "matmul=1");
  EXPECT_EQ(testing::only(graph, "matmul").attributes.text(), "{transpose_a=1, transpose_b=1}");
}

TEST(Simplify, OtherTransposesStayInFrontOfProducts) {
  const ir::Graph graph = checked(R"(
  input %x : f32[3, 2, n]
  input %w : f32[2, 3, 4]
  %xt = transpose(%x) {perm=[1, 2, 0]} : f32[2, n, 3]
  %y = matmul(%xt, %w) : f32[2, n, 4]
  return %y)",
                                  simplify, kSizes);
  EXPECT_EQ(ops_of(graph), "matmul=1 transpose=1");
}

TEST(Simplify, ConstantsAreStoredAsProductsReadThem) {
  const ir::Graph graph = checked(R"(
  input %x : f32[n, 3]
  constant %w : f32[2, 3] = [1, 2, 3, 4, 5, 6]
  %y = matmul(%x, %w) {transpose_b=1} : f32[n, 2]
  return %y)",
                                  simplify, kSizes);
  EXPECT_FALSE(testing::only(graph, "matmul").attributes.has("transpose_b"));
  const ir::ValueId b = testing::only(graph, "matmul").inputs[1];
  EXPECT_EQ(graph.type(b).text(), "f32[3, 2]");
}

// A table that is gathered from and multiplied by is held once.
TEST(Simplify, TiedWeightsAreShared) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph;
  ops::Builder builder(graph, registry);
  const ir::RecipePtr table = ir::constant_noise(DType::kFloat32, {300, 64}, 7, 1);
  const ir::ValueId ids = graph.add_input("ids", {DType::kInt64, {3}});
  const ir::ValueId rows = graph.add_constant("table", table);
  const ir::ValueId columns = graph.add_constant("turned", ir::transpose(table, {1, 0}));
  const ir::ValueId x = builder.add1("x", "gather", {{"axis", Dim(0)}}, {rows, ids});
  graph.set_outputs({builder.add1("y", "matmul", {}, {x, columns})});
  const std::vector<HostTensor> inputs = testing::random_inputs(graph, {});
  const auto expected = ops::interpret(graph, registry, inputs);
  EXPECT_TRUE(simplify(graph, registry));
  ops::verify(graph, registry);
  const ir::Node& matmul = testing::only(graph, "matmul");
  EXPECT_EQ(matmul.inputs[1], *graph.find_value("table"));
  EXPECT_EQ(matmul.attributes.integer("transpose_b"), 1);
  EXPECT_EQ(ops::interpret(graph, registry, inputs), expected);
  EXPECT_FALSE(simplify(graph, registry));
}

TEST(Simplify, SlicesSideBySideAreASplit) {
  const ir::Graph graph = checked(R"(
  input %x : f32[n, 6]
  %b = slice(%x) {begin=[0, 2], extent=[n, 3], step=[1, 1]} : f32[n, 3]
  %a = slice(%x) {begin=[0, 0], extent=[n, 2], step=[1, 1]} : f32[n, 2]
  %c = slice(%x) {begin=[0, 5], extent=[n, 1], step=[1, 1]} : f32[n, 1]
  return %a, %b, %c)",
                                  simplify, kSizes, 0);
  EXPECT_EQ(ops_of(graph), "split=1");
  EXPECT_EQ(testing::only(graph, "split").attributes.text(), "{axis=1, sizes=[2, 3, 1]}");
}

TEST(Simplify, OtherSlicesStay) {
  const char* const bodies[] = {// a gap
                                R"(
  input %x : f32[4, 6]
  %a = slice(%x) {begin=[0, 0], extent=[4, 2], step=[1, 1]} : f32[4, 2]
  %b = slice(%x) {begin=[0, 3], extent=[4, 3], step=[1, 1]} : f32[4, 3]
  return %a, %b)",
                                // an overlap
                                R"(
  input %x : f32[4, 6]
  %a = slice(%x) {begin=[0, 0], extent=[4, 4], step=[1, 1]} : f32[4, 4]
  %b = slice(%x) {begin=[0, 3], extent=[4, 3], step=[1, 1]} : f32[4, 3]
  return %a, %b)",
                                // two axes
                                R"(
  input %x : f32[4, 6]
  %a = slice(%x) {begin=[0, 0], extent=[2, 3], step=[1, 1]} : f32[2, 3]
  %b = slice(%x) {begin=[2, 3], extent=[2, 3], step=[1, 1]} : f32[2, 3]
  return %a, %b)",
                                // steps
                                R"(
  input %x : f32[4, 6]
  %a = slice(%x) {begin=[0, 0], extent=[4, 3], step=[1, 2]} : f32[4, 3]
  %b = slice(%x) {begin=[0, 1], extent=[4, 3], step=[1, 2]} : f32[4, 3]
  return %a, %b)"};
  for (const char* body : bodies) {
    EXPECT_EQ(ops_of(checked(body, simplify, {}, 0)), "slice=2") << body;
  }
}

}  // namespace
}  // namespace cleave::passes
