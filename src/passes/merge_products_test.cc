#include "passes/merge_products.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::ops_of;

bool merged(ir::Graph& graph, const ops::Registry& registry) {
  return merge_products(graph, registry, *capabilities::of_backend("cuda"));
}
const SymbolValues kSizes{{"n", 3}};

TEST(MergeProducts, QueriesKeysAndValuesAreMadeAtOnce) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 2]
    constant %wq : f32[2, 4] = [1, 2, 3, 4, 5, 6, 7, 8]
    constant %wk : f32[2, 2] = [8, 7, 6, 5]
    constant %wv : f32[2, 2] = [4, 3, 2, 1]
    %q = matmul(%x, %wq) : f32[n, 4]
    %k = matmul(%x, %wk) : f32[n, 2]
    %v = matmul(%x, %wv) : f32[n, 2]
    %q3 = reshape(%q) {shape=[n, 2, 2]} : f32[n, 2, 2]
    %qt = transpose(%q3) {perm=[1, 0, 2]} : f32[2, n, 2]
    %qs = exp(%qt) : f32[2, n, 2]
    %kv = mul(%k, %v) : f32[n, 2]
    return %qs, %kv)",
                                  merged, kSizes);
  EXPECT_EQ(ops_of(graph), "exp=1 matmul=1 mul=1 reshape=1 split=1 transpose=1");
  EXPECT_TRUE(graph.find_node("q+k+v"));
  EXPECT_TRUE(graph.find_value("k"));
}

TEST(MergeProducts, BiasesGoSideBySideToo) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 2]
    constant %w1 : f32[3, 2] = [1, 2, 3, 4, 5, 6]
    constant %w2 : f32[3, 2] = [6, 5, 4, 3, 2, 1]
    constant %b1 : f32[3] = [1, 2, 3]
    constant %b2 : f32[3] = [4, 5, 6]
    %y1 = matmul(%x, %w1) {transpose_b=1} : f32[n, 3]
    %y2 = matmul(%x, %w2) {transpose_b=1} : f32[n, 3]
    %c1 = broadcast(%b1) {shape=[n, 3]} : f32[n, 3]
    %c2 = broadcast(%b2) {shape=[n, 3]} : f32[n, 3]
    %z1 = add(%y1, %c1) : f32[n, 3]
    %z2 = add(%c2, %y2) : f32[n, 3]
    %s = silu(%z1) : f32[n, 3]
    %y = mul(%s, %z2) : f32[n, 3]
    return %y)",
                                  merged, kSizes);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=1 matmul=1 mul=1 silu=1 split=1");
}

// A body of two products whose second's reader is given.
ir::Graph with_reader(const std::string& reader, const std::string& result) {
  return testing::graph_of(R"(
    input %x : f32[n, 2]
    constant %w1 : f32[2, 4] = [1, 2, 3, 4, 5, 6, 7, 8]
    constant %w2 : f32[2, 4] = [8, 7, 6, 5, 4, 3, 2, 1]
    constant %one : f32[4] = [1, 1, 1, 1]
    %y1 = matmul(%x, %w1) : f32[n, 4]
    %y2 = matmul(%x, %w2) : f32[n, 4]
    %z1 = exp(%y1) : f32[n, 4]
    )" + reader + "\n    return %z1, " +
                           result);
}

TEST(MergeProducts, WhatNeedsItsOwnMemoryStaysAlone) {
  for (const auto& [reader, result] : std::vector<std::pair<std::string, std::string>>{
           {"%z2 = layer_norm(%y2, %one) {axes=1, epsilon=0.1} : f32[n, 4]", "%z2"},
           {"%z2 = reshape(%y2) {shape=[n*4]} : f32[n*4]\n    %e = exp(%z2) : f32[n*4]", "%e"},
           {"%z2 = relu(%y2) : f32[n, 4]", "%z2"},
           {"%z2 = exp(%y2) : f32[n, 4]", "%y2"},
           {"%m = matmul(%x, %w2) : f32[n, 4]\n    %z2 = mul(%m, %y2) : f32[n, 4]", "%z2"}}) {
    ir::Graph graph = with_reader(reader, result);
    EXPECT_FALSE(merged(graph, ops::Registry::builtin())) << reader;
  }
  ir::Graph graph = with_reader("%z2 = exp(%y2) : f32[n, 4]", "%z2");
  EXPECT_TRUE(merged(graph, ops::Registry::builtin()));
}

TEST(MergeProducts, OperandsMustBeTheSame) {
  ir::Graph graph = testing::graph_of(R"(
    input %x : f32[n, 2]
    input %z : f32[n, 2]
    constant %w1 : f32[2, 2] = [1, 2, 3, 4]
    constant %w2 : f32[2, 2] = [8, 7, 6, 5]
    %y1 = matmul(%x, %w1) : f32[n, 2]
    %y2 = matmul(%z, %w2) : f32[n, 2]
    %y = mul(%y1, %y2) : f32[n, 2]
    return %y)");
  EXPECT_FALSE(merged(graph, ops::Registry::builtin()));
}

}  // namespace
}  // namespace cleave::passes
