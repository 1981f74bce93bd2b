#include "ops/conv/kernel_problem.h"

#include <gtest/gtest.h>

namespace cleave::backend {
namespace {

std::optional<std::string> large_window(const std::vector<int64_t>& kernel) {
  const std::vector<Dim> ones(kernel.size(), 1);
  Attributes attributes;
  attributes.set("groups", Dim(1));
  attributes.set("strides", ones);
  attributes.set("dilations", ones);
  attributes.set("low", std::vector<Dim>(kernel.size(), 0));
  attributes.set("outputs", ones);
  std::vector<int64_t> x = {1, 1};
  std::vector<int64_t> w = {1, 1};
  std::vector<int64_t> y = {1, 1};
  for (const int64_t extent : kernel) {
    x.push_back(extent);
    w.push_back(extent);
    y.push_back(1);
  }
  const auto view = [](std::vector<int64_t> shape) {
    return TensorView::dense(DType::kFloat16, std::move(shape));
  };
  const KernelProblem problem{
      .op = "conv", .attributes = attributes, .inputs = {view(x), view(w)}, .outputs = {view(y)}};
  return ConvProblem(problem).large_window();
}

TEST(ConvProblem, NamesWindowsThatHeuristicsMisjudge) {
  for (const auto& small : std::vector<std::vector<int64_t>>{{3, 3}, {7, 7}, {128}, {1, 128}}) {
    EXPECT_EQ(large_window(small), std::nullopt);
  }
  EXPECT_EQ(large_window({13, 13}), "its window is 13 x 13");
  EXPECT_EQ(large_window({9, 7}), "its window is 9 x 7");
  EXPECT_EQ(large_window({5, 5, 5}), "its window is 5 x 5 x 5");
}

}  // namespace
}  // namespace cleave::backend
