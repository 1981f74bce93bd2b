// Which kernels take a problem is known without a GPU.
#include <gtest/gtest.h>

#include "backend/builtin_kernels.h"
#include "backend/kernel.h"

namespace cleave::backend {
namespace {

constexpr DType kHalf = DType::kFloat16;

std::string kernel_of(const std::string& op, std::vector<TensorView> inputs,
                      std::vector<TensorView> outputs, const Attributes& attributes = {}) {
  static const KernelRegistry registry = builtin_cuda_kernels();
  const KernelProblem problem{.op = op,
                              .attributes = attributes,
                              .inputs = std::move(inputs),
                              .outputs = std::move(outputs)};
  const KernelRegistry::Choice choice = registry.choose(problem);
  return choice.kernel == nullptr ? "none" : std::string(choice.kernel->name());
}

// The points of two images of 320 channels as rows: neither dimension of a product's left operand
// is without gaps over both images.
TEST(MatmulChoice, PointsOfImagesAsRows) {
  const TensorView image = {kHalf, {2, 16384, 320}, {320 * 16384, 1, 16384}};
  const TensorView weight = TensorView::dense(kHalf, {320, 64});
  EXPECT_EQ(kernel_of("matmul", {image, weight}, {TensorView::dense(kHalf, {2, 16384, 64})}),
            "matmul.cublas");
}

TEST(MatmulChoice, HeadsOfATensorThatHasThemInside) {
  const TensorView heads = {kHalf, {2, 8, 100, 64}, {100 * 8 * 64, 64, 8 * 64, 1}};
  const TensorView keys = {kHalf, {2, 8, 64, 100}, {100 * 8 * 64, 64, 1, 8 * 64}};
  EXPECT_EQ(kernel_of("matmul", {heads, keys}, {TensorView::dense(kHalf, {2, 8, 100, 100})}),
            "matmul.cublas");
}

TEST(MatmulChoice, WhatHasGapsEverywhereIsPlain) {
  const TensorView a = {kHalf, {8, 8}, {32, 2}};
  const TensorView b = TensorView::dense(kHalf, {8, 8});
  EXPECT_EQ(kernel_of("matmul", {a, b}, {TensorView::dense(kHalf, {8, 8})}), "matmul.plain");
}

std::string softmax_of(const std::vector<int64_t>& shape, int64_t axis) {
  const TensorView x = TensorView::dense(kHalf, shape);
  return kernel_of("softmax", {x}, {x}, {{"axis", Dim(axis)}});
}

TEST(SoftmaxChoice, RowsByTheirLength) {
  EXPECT_EQ(softmax_of({64, 4096}, 1), "softmax.rows");
  EXPECT_EQ(softmax_of({1, 128256}, 1), "softmax.parts");
  EXPECT_EQ(softmax_of({4096, 32000}, 1), "softmax.parts");
  EXPECT_EQ(softmax_of({128256, 4}, 0), "softmax.lines");
}

std::string top_k_of(int64_t lines, int64_t extent, int64_t k) {
  return kernel_of(
      "top_k", {TensorView::dense(kHalf, {lines, extent})},
      {TensorView::dense(kHalf, {lines, k}), TensorView::dense(DType::kInt64, {lines, k})},
      {{"axis", Dim(1)}, {"k", Dim(k)}});
}

TEST(TopKChoice, MoreThanABlockHoldsIsSorted) {
  EXPECT_EQ(top_k_of(64, 128256, 50), "top_k.select");
  EXPECT_EQ(top_k_of(1, 128256, 2048), "top_k.select");
  EXPECT_EQ(top_k_of(1, 128256, 2049), "top_k.sort");
}

class AttentionChoice : public ::testing::Test {
 protected:
  void SetUp() override {
    const KernelRegistry registry = builtin_cuda_kernels();
    const auto kernels = registry.of("attention");
    if (kernels.front()->name() != "attention.cudnn")
      GTEST_SKIP() << "cuDNN's front end is missing";
  }

  static TensorView by_heads(int64_t heads, int64_t rows, int64_t depth = 64) {
    return {kHalf, {1, heads, rows, depth}, {rows * heads * depth, depth, heads * depth, 1}};
  }
  // 6 query heads on 3 key heads, unless the attributes say otherwise.
  static std::string kernel_with(const Attributes& more, const std::vector<TensorView>& mask = {},
                                 int64_t rows = 40) {
    Attributes attributes = more;
    attributes.set("scale", 0.125);
    std::vector<TensorView> inputs = {by_heads(6, rows), by_heads(3, 40), by_heads(3, 40)};
    inputs.insert(inputs.end(), mask.begin(), mask.end());
    return kernel_of("attention", inputs, {by_heads(6, rows)}, attributes);
  }
  static TensorView bool_mask(std::vector<int64_t> shape) {
    return TensorView::dense(DType::kBool, std::move(shape));
  }
};

TEST_F(AttentionChoice, HalvesAreCudnns) {
  EXPECT_EQ(kernel_with({}), "attention.cudnn");
  EXPECT_EQ(kernel_with({{"causal", Dim(1)}}), "attention.cudnn");
  EXPECT_EQ(kernel_with({{"causal", Dim(1)}}, {}, 1), "attention.cudnn");
  EXPECT_EQ(kernel_with({}, {bool_mask({1, 1, 1, 40})}), "attention.cudnn");
  EXPECT_EQ(kernel_with({{"causal", Dim(1)}}, {bool_mask({1, 1, 40, 40})}), "attention.cudnn");
}

TEST_F(AttentionChoice, OthersAreOurOwn) {
  const TensorView wide = TensorView::dense(DType::kFloat32, {1, 2, 40, 64});
  EXPECT_EQ(kernel_of("attention", {wide, wide, wide}, {wide}, {{"scale", 0.125}}),
            "attention.tiles");
  // Rows that do not begin at multiples of 16 bytes.
  const TensorView gaps = {kHalf, {1, 2, 40, 64}, {2 * 40 * 68, 40 * 68, 68, 1}};
  EXPECT_NE(kernel_of("attention", {gaps, gaps, gaps}, {by_heads(2, 40)}, {{"scale", 0.125}}),
            "attention.cudnn");
  // Of two of three key heads one query head each.
  EXPECT_EQ(kernel_with({{"group", Dim(3)}, {"head_offset", Dim(2)}, {"kv_offset", Dim(0)}}),
            "attention.tensor");
  // Rows that see nothing, a diagonal inside, and one beside a mask that ends at the last key.
  EXPECT_EQ(kernel_with({{"causal", Dim(1)}, {"rows_total", Dim(60)}}), "attention.tensor");
  EXPECT_EQ(kernel_with({{"causal", Dim(1)}, {"rows_total", Dim(30)}}), "attention.tensor");
  EXPECT_EQ(kernel_with({{"causal", Dim(1)}}, {bool_mask({1, 1, 1, 40})}, 20), "attention.tensor");
}

TEST_F(AttentionChoice, MasksLargerThanTheWorkspaceAreOurOwn) {
  const TensorView q = by_heads(8, 8192);
  EXPECT_EQ(kernel_of("attention", {q, q, q, bool_mask({1, 1, 8192, 8192})}, {q}, {{"scale", 0.1}}),
            "attention.cudnn");
  EXPECT_EQ(kernel_of("attention", {q, q, q, bool_mask({1, 8, 8192, 8192})}, {q}, {{"scale", 0.1}}),
            "attention.tensor");
}

}  // namespace
}  // namespace cleave::backend
