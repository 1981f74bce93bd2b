#include "passes/precision.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::ops_of;

bool in_half(ir::Graph& graph, const ops::Registry& registry) {
  const std::string before = ir::to_text(graph);
  compute_in(graph, registry, DType::kFloat16);
  return ir::to_text(graph) != before;
}

// Half precision has eleven bits; a few operations follow each other.
constexpr double kTolerance = 4e-3;
const SymbolValues kSizes{{"n", 3}};

DType type_of(const ir::Graph& graph, std::string_view name) {
  return graph.type(*graph.find_value(name)).dtype;
}

TEST(ComputeIn, InputsAndOutputsKeepTheirTypesAndNames) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 4]
    constant %w : f32[4, 2] = [1, 2, 3, 4, 5, 6, 7, 8]
    %y = matmul(%x, %w) : f32[n, 2]
    %z = tanh(%y) : f32[n, 2]
    return %z, %x, %z)",
                                  in_half, kSizes, kTolerance);
  EXPECT_EQ(ops_of(graph), "cast=2 matmul=1 tanh=1");
  EXPECT_EQ(type_of(graph, "x"), DType::kFloat32);
  EXPECT_EQ(type_of(graph, "z"), DType::kFloat32);
  EXPECT_EQ(type_of(graph, "y"), DType::kFloat16);
  EXPECT_EQ(graph.outputs()[0], graph.outputs()[2]);
}

TEST(ComputeIn, ConstantsAreCastOnceWhenTheyAreStored) {
  const ir::Graph graph = checked(R"(
    input %x : f32[1, 2]
    constant %c : f32[1, 2] = [1, 2]
    %y = add(%x, %c) : f32[1, 2]
    %z = mul(%y, %c) : f32[1, 2]
    return %z)",
                                  in_half, {}, kTolerance);
  EXPECT_EQ(ops_of(graph), "add=1 cast=2 mul=1");
}

// Token ids are no floating point: weights say where to begin, also those of a small network.
TEST(ComputeIn, WhatAMatrixIsMultipliedByIsLowered) {
  const ir::Graph graph = checked(R"(
    input %ids : i64[n]
    constant %table : f32[3, 2] = [1, 2, 3, 4, 5, 6]
    constant %w : f32[2, 2] = [1, 2, 3, 4]
    %x = gather(%table, %ids) {axis=0} : f32[n, 2]
    %y = matmul(%x, %w) : f32[n, 2]
    return %y)",
                                  in_half, kSizes, kTolerance);
  EXPECT_EQ(type_of(graph, "x"), DType::kFloat32);
  EXPECT_EQ(ops_of(graph), "cast=2 gather=1 matmul=1");
}

TEST(ComputeIn, ABiasStaysAConstant) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 4]
    constant %b : f32[4] = [1, 2, 3, 4]
    %wide = broadcast(%b) {shape=[n, 4]} : f32[n, 4]
    %y = add(%x, %wide) : f32[n, 4]
    %z = mul(%y, %wide) : f32[n, 4]
    return %z)",
                                  in_half, kSizes, kTolerance);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=1 cast=2 mul=1");
}

// Positions up to 3,000 and the angles made from them are not numbers of float16.
TEST(ComputeIn, WhatNoInputIsPartOfKeepsItsPrecision) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 4]
    input %position : i64[n, 4]
    constant %frequency : f32[4] = [1, 0.1, 0.01, 0.001]
    constant %far : i64[4] = [3000, 2999, 2998, 2997]
    %offset = broadcast(%far) {shape=[n, 4]} : i64[n, 4]
    %place = add(%position, %offset) : i64[n, 4]
    %number = cast(%place) {to=type(f32)} : f32[n, 4]
    %f = broadcast(%frequency) {shape=[n, 4]} : f32[n, 4]
    %angle = mul(%number, %f) : f32[n, 4]
    %s = sin(%angle) : f32[n, 4]
    %y = mul(%x, %s) : f32[n, 4]
    return %y)",
                                  in_half, kSizes, kTolerance);
  EXPECT_EQ(type_of(graph, "angle"), DType::kFloat32);
  EXPECT_EQ(type_of(graph, "s"), DType::kFloat32);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=2 cast=4 mul=2 sin=1");
}

TEST(ComputeIn, ACastToFloat32BecomesOneToTheOtherType) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 4]
    %a = exp(%x) : f32[n, 4]
    %b = cast(%a) {to=type(f32)} : f32[n, 4]
    %c = cast(%b) {to=type(f64)} : f64[n, 4]
    return %c)",
                                  in_half, kSizes, kTolerance);
  EXPECT_EQ(type_of(graph, "b"), DType::kFloat16);
  EXPECT_EQ(type_of(graph, "c"), DType::kFloat64);
}

TEST(ComputeIn, OtherTypesAreLeftAlone) {
  const ir::Graph graph = checked(R"(
    input %x : f64[n, 4]
    input %i : i64[n, 4]
    %a = exp(%x) : f64[n, 4]
    %b = add(%i, %i) : i64[n, 4]
    return %a, %b)",
                                  in_half, kSizes);
  EXPECT_EQ(ops_of(graph), "add=1 exp=1");
}

bool with_tf32(ir::Graph& graph, const ops::Registry&) {
  const std::string before = ir::to_text(graph);
  allow_tf32(graph);
  return ir::to_text(graph) != before;
}

TEST(AllowTf32, MarksProductsOfFloat32) {
  const ir::Graph graph = checked(R"(
    input %x : f32[n, 4]
    input %h : f16[n, 4]
    constant %w : f32[4, 4] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    constant %v : f16[4, 4] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    %y = matmul(%x, %w) : f32[n, 4]
    %z = matmul(%h, %v) : f16[n, 4]
    %s = tanh(%y) : f32[n, 4]
    return %s, %z)",
                                  with_tf32, kSizes, kTolerance);
  const auto marked = [&](std::string_view name) {
    const ir::NodeId node = graph.value(*graph.find_value(name)).producer;
    return graph.node(node).attributes.integer("tf32", 0) != 0;
  };
  EXPECT_TRUE(marked("y"));
  EXPECT_FALSE(marked("z"));
  EXPECT_FALSE(marked("s"));
}

}  // namespace
}  // namespace cleave::passes
