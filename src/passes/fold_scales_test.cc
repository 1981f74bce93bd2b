#include "passes/fold_scales.h"

#include "passes/dead_code.h"
#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::only;
using testing::ops_of;
using testing::replaced;

const SymbolValues kSizes{{"n", 2}};

// Without the constants of `kConv` that a body does not use.
bool run(ir::Graph& graph, const ops::Registry& registry) {
  const bool is_used = !dead_code(graph, registry);
  return fold_scales(graph, registry) || !is_used;
}

std::string folded(const std::string& body) { return ops_of(checked(body, run, kSizes)); }

// A convolution with its bias and a normalisation of the batch.
constexpr const char* kConv = R"(
  input %x : f32[n, 2, 4, 4]
  constant %w : f32[3, 2, 1, 1] = [1, -2, 3, 0.5, -0.25, 7]
  constant %bias : f32[3, 1, 1] = [1, 2, -3]
  constant %factor : f32[1, 3, 1, 1] = [0.1, -2, 0]
  constant %shift : f32[3, 1, 1] = [0.5, 0, 1e+3]
  constant %number : f32[] = [4]
  %y = conv(%x, %w) {dilations=[1, 1], groups=1, low=[0, 0], outputs=[4, 4], strides=[1, 1]} : f32[n, 3, 4, 4]
  %b = broadcast(%bias) {shape=[n, 3, 4, 4]} : f32[n, 3, 4, 4]
  %f = broadcast(%factor) {shape=[n, 3, 4, 4]} : f32[n, 3, 4, 4]
  %s = broadcast(%shift) {shape=[n, 3, 4, 4]} : f32[n, 3, 4, 4]
  %four = broadcast(%number) {shape=[n, 3, 4, 4]} : f32[n, 3, 4, 4]
)";

std::string conv(const std::string& nodes) { return kConv + nodes; }

TEST(FoldScales, BatchNormalisationGoesIntoAConvolution) {
  const ir::Graph graph = checked(conv(R"(
    %z = add(%y, %b) : f32[n, 3, 4, 4]
    %u = mul(%z, %f) : f32[n, 3, 4, 4]
    %v = add(%u, %s) : f32[n, 3, 4, 4]
    return %v)"),
                                  run, kSizes);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=1 conv=1");
  EXPECT_EQ(only(graph, "add").name, "v");
  const HostTensor w = graph.value(only(graph, "conv").inputs[1]).constant->read_all();
  EXPECT_EQ(w.get(1), static_cast<float>(-2 * static_cast<double>(0.1f)));
  EXPECT_EQ(w.get(2), -6);
  const HostTensor b = graph.value(only(graph, "broadcast").inputs[0]).constant->read_all();
  EXPECT_EQ(b.shape, (std::vector<int64_t>{3, 1, 1}));
  EXPECT_EQ(b.get(1), -4);
  EXPECT_EQ(b.get(2), 1000);
}

TEST(FoldScales, EveryOrderOfOpsAndOperands) {
  // Shifts that are 0 in the end need no addition.
  EXPECT_EQ(folded(conv("%z = mul(%f, %y) : f32[n, 3, 4, 4]\nreturn %z")), "conv=1");
  EXPECT_EQ(folded(conv("%z = div(%y, %b) : f32[n, 3, 4, 4]\n"
                        "%u = mul(%z, %four) : f32[n, 3, 4, 4]\nreturn %u")),
            "conv=1");
  for (const char* nodes : {"%z = sub(%y, %b) : f32[n, 3, 4, 4]\n"
                            "%u = div(%z, %four) : f32[n, 3, 4, 4]\n"
                            "%v = sub(%s, %u) : f32[n, 3, 4, 4]\nreturn %v",
                            "%z = sub(%b, %y) : f32[n, 3, 4, 4]\n"
                            "%u = add(%four, %z) : f32[n, 3, 4, 4]\n"
                            "%v = mul(%u, %f) : f32[n, 3, 4, 4]\nreturn %v",
                            "%z = mul(%y, %four) : f32[n, 3, 4, 4]\n"
                            "%v = add(%z, %four) : f32[n, 3, 4, 4]\nreturn %v"}) {
    EXPECT_EQ(folded(conv(nodes)), "add=1 broadcast=1 conv=1") << nodes;
  }
}

TEST(FoldScales, GroupsAndDoubles) {
  std::string body = conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\nreturn %z");
  body = replaced(body, "input %x : f32[n, 2, 4, 4]", "input %x : f32[n, 6, 4, 4]");
  EXPECT_EQ(folded(replaced(body, "groups=1", "groups=3")), "conv=1");
  std::string wide = conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\nreturn %z");
  for (size_t at; (at = wide.find("f32")) != std::string::npos;) wide.replace(at, 3, "f64");
  EXPECT_EQ(ops_of(checked(wide, run, kSizes, 1e-14)), "conv=1");
}

TEST(FoldScales, OpsBeforeAndBehindWhatCannotFoldDo) {
  const std::string ops = folded(conv(R"(
    %z = add(%y, %b) : f32[n, 3, 4, 4]
    %u = mul(%z, %f) : f32[n, 3, 4, 4]
    %r = relu(%u) : f32[n, 3, 4, 4]
    %v = mul(%r, %four) : f32[n, 3, 4, 4]
    return %v)"));
  EXPECT_EQ(ops, "add=1 broadcast=2 conv=1 mul=1 relu=1");
  // The last op's constant is one of rows.
  const std::string rows = folded(conv(R"(
    constant %row : f32[4] = [1, 2, 3, 4]
    %wide = broadcast(%row) {shape=[n, 3, 4, 4]} : f32[n, 3, 4, 4]
    %z = mul(%y, %f) : f32[n, 3, 4, 4]
    %v = mul(%z, %wide) : f32[n, 3, 4, 4]
    return %v)"));
  EXPECT_EQ(rows, "broadcast=1 conv=1 mul=1");
}

// A result that others read too may end a chain, and shifts alone are joined whatever the weights.
TEST(FoldScales, ResultsThatAreReadTwice) {
  const std::string ops = folded(conv(R"(
    %z = mul(%y, %f) : f32[n, 3, 4, 4]
    %u = add(%z, %s) : f32[n, 3, 4, 4]
    %v = mul(%u, %four) : f32[n, 3, 4, 4]
    return %u, %v)"));
  EXPECT_EQ(ops, "add=1 broadcast=2 conv=1 mul=1");
  const std::string joined = folded(conv(R"(
    %z = add(%y, %b) : f32[n, 3, 4, 4]
    %u = add(%z, %s) : f32[n, 3, 4, 4]
    return %u, %w)"));
  EXPECT_EQ(joined, "add=1 broadcast=1 conv=1");
}

constexpr const char* kMatmul = R"(
  input %x : f32[n, 4]
  constant %w : f32[4, 3] = [1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3]
  constant %bias : f32[3] = [1, 2, -3]
  constant %gamma : f32[3] = [0.1, -2, 1e-6]
  %y = matmul(%x, %w) : f32[n, 3]
  %b = broadcast(%bias) {shape=[n, 3]} : f32[n, 3]
  %z = add(%y, %b) : f32[n, 3]
  %g = broadcast(%gamma) {shape=[n, 3]} : f32[n, 3]
  %u = mul(%z, %g) : f32[n, 3]
  return %u)";

TEST(FoldScales, LayerScaleGoesIntoAMatmul) {
  EXPECT_EQ(folded(kMatmul), "add=1 broadcast=1 matmul=1");
  std::string transposed = replaced(kMatmul, "f32[4, 3] =", "f32[3, 4] =");
  transposed = replaced(transposed, "matmul(%x, %w)", "matmul(%x, %w) {transpose_b=1}");
  EXPECT_EQ(folded(transposed), "add=1 broadcast=1 matmul=1");
}

TEST(FoldScales, LargeWeightsBecomeARecipe) {
  const ops::Registry registry = ops::Registry::builtin();
  ir::Graph graph;
  ops::Builder builder(graph, registry);
  const ir::ValueId x = graph.add_input("x", {DType::kFloat32, {5, 200}});
  // A file that is absent: planning reads nothing of it.
  const ir::ValueId w = graph.add_constant(
      "w", ir::constant_file(memory_source("weights", ""), 0, DType::kFloat32, {200, 300}));
  const ir::ValueId y = builder.add1("y", "matmul", {}, {x, w});
  const ir::ValueId half = builder.broadcast(builder.scalar(DType::kFloat32, 0.5), {5, 300});
  graph.set_outputs({builder.add1("z", "mul", {}, {y, half})});
  EXPECT_TRUE(fold_scales(graph, registry));
  ops::verify(graph, registry);
  EXPECT_EQ(ops_of(graph), "matmul=1");
  const ir::Value& scaled = graph.value(only(graph, "matmul").inputs[1]);
  EXPECT_EQ(scaled.name, "w/scaled");
  EXPECT_EQ(scaled.constant->value(), nullptr);
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "z");
}

TEST(FoldScales, WhatMustNotFold) {
  const std::string bodies[] = {
      // bias alone
      conv("%z = add(%y, %b) : f32[n, 3, 4, 4]\nreturn %z"),
      // weights that others read
      conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\nreturn %z, %w"),
      // results that others read
      conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\nreturn %z, %y"),
      conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\n%u = neg(%y) : f32[n, 3, 4, 4]\nreturn %z, %u"),
      // no constant
      conv("%z = mul(%y, %y) : f32[n, 3, 4, 4]\nreturn %z"),
      // the other way round
      conv("%z = div(%four, %y) : f32[n, 3, 4, 4]\nreturn %z"),
      // factors that are infinite, NaN, or would leave the range of weights
      replaced(conv("%z = mul(%y, %four) : f32[n, 3, 4, 4]\nreturn %z"), "[4]", "[inf]"),
      replaced(conv("%z = mul(%y, %four) : f32[n, 3, 4, 4]\nreturn %z"), "[4]", "[nan]"),
      replaced(conv("%z = mul(%y, %four) : f32[n, 3, 4, 4]\nreturn %z"), "[4]", "[1e-38]"),
      replaced(conv("%z = div(%y, %four) : f32[n, 3, 4, 4]\nreturn %z"), "[4]", "[0]"),
      // along the image
      conv("constant %row : f32[4] = [1, 2, 3, 4]\n"
           "%wide = broadcast(%row) {shape=[n, 3, 4, 4]} : f32[n, 3, 4, 4]\n"
           "%z = mul(%y, %wide) : f32[n, 3, 4, 4]\nreturn %z"),
      // weights that are computed
      replaced(conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\nreturn %z"), "constant %w",
               "input %w : f32[3, 2, 1, 1]\nconstant %unused")};
  for (const std::string& body : bodies) {
    const ops::Registry registry = ops::Registry::builtin();
    ir::Graph graph = testing::graph_of(body);
    ops::verify(graph, registry);
    const std::string before = ir::to_text(graph);
    EXPECT_FALSE(fold_scales(graph, registry)) << body;
    EXPECT_EQ(ir::to_text(graph), before);
  }
}

// Weights of 16 bits would be rounded again.
TEST(FoldScales, SixteenBitsAreLeft) {
  for (const char* type : {"f16", "bf16"}) {
    std::string body = conv("%z = mul(%y, %f) : f32[n, 3, 4, 4]\nreturn %z");
    for (size_t at; (at = body.find("f32")) != std::string::npos;) body.replace(at, 3, type);
    ir::Graph graph = testing::graph_of(body);
    EXPECT_FALSE(fold_scales(graph, ops::Registry::builtin()));
  }
}

}  // namespace
}  // namespace cleave::passes
