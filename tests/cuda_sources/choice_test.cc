// Which kernels take a problem is known without a GPU.
#include <gtest/gtest.h>

#include "backend/builtin_kernels.h"
#include "backend/kernel.h"

namespace cleave::backend {
namespace {

constexpr DType kHalf = DType::kFloat16;

std::string kernel_of(const std::string& op, std::vector<TensorView> inputs, TensorView output) {
  static const KernelRegistry registry = builtin_cuda_kernels();
  static const Attributes none;
  const KernelProblem problem{
      .op = op, .attributes = none, .inputs = std::move(inputs), .outputs = {std::move(output)}};
  const KernelRegistry::Choice choice = registry.choose(problem);
  return choice.kernel == nullptr ? "none" : std::string(choice.kernel->name());
}

// The points of two images of 320 channels as rows: neither dimension of a product's left operand
// is without gaps over both images.
TEST(MatmulChoice, PointsOfImagesAsRows) {
  const TensorView image = {kHalf, {2, 16384, 320}, {320 * 16384, 1, 16384}};
  const TensorView weight = TensorView::dense(kHalf, {320, 64});
  EXPECT_EQ(kernel_of("matmul", {image, weight}, TensorView::dense(kHalf, {2, 16384, 64})),
            "matmul.cublas");
}

TEST(MatmulChoice, HeadsOfATensorThatHasThemInside) {
  const TensorView heads = {kHalf, {2, 8, 100, 64}, {100 * 8 * 64, 64, 8 * 64, 1}};
  const TensorView keys = {kHalf, {2, 8, 64, 100}, {100 * 8 * 64, 64, 1, 8 * 64}};
  EXPECT_EQ(kernel_of("matmul", {heads, keys}, TensorView::dense(kHalf, {2, 8, 100, 100})),
            "matmul.cublas");
}

TEST(MatmulChoice, WhatHasGapsEverywhereIsPlain) {
  const TensorView a = {kHalf, {8, 8}, {32, 2}};
  const TensorView b = TensorView::dense(kHalf, {8, 8});
  EXPECT_EQ(kernel_of("matmul", {a, b}, TensorView::dense(kHalf, {8, 8})), "matmul.plain");
}

}  // namespace
}  // namespace cleave::backend
