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

}  // namespace
}  // namespace cleave::backend
