#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::check_rules;
using testing::inference_error;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;

struct Window {
  std::vector<Dim> strides;
  std::vector<Dim> dilations;
  std::vector<Dim> low;
  std::vector<Dim> outputs;
  int64_t groups = 1;
};

Attributes attributes_of(const Window& window) {
  return {{"strides", window.strides},
          {"dilations", window.dilations},
          {"low", window.low},
          {"outputs", window.outputs},
          {"groups", Dim(window.groups)}};
}

TEST(Conv, SlidesOverASignal) {
  const HostTensor x = tensor(DType::kFloat32, {1, 1, 5}, {1, 2, 3, 4, 5});
  const HostTensor w = tensor(DType::kFloat32, {1, 1, 3}, {1, 10, 100});
  EXPECT_EQ(values_of(run_reference("conv", attributes_of({{1}, {1}, {1}, {5}}), {x, w})[0]),
            (std::vector<double>{210, 321, 432, 543, 54}));
  // Every second one, of every second element, without padding.
  EXPECT_EQ(values_of(run_reference("conv", attributes_of({{2}, {2}, {0}, {1}}), {x, w})[0]),
            (std::vector<double>{531}));
}

TEST(Conv, AddsUpTheChannelsOfAGroup) {
  const HostTensor x = tensor(DType::kFloat32, {1, 4, 1}, {1, 2, 3, 4});
  const HostTensor w = tensor(DType::kFloat32, {2, 2, 1}, {1, 10, 100, 1000});
  EXPECT_EQ(values_of(run_reference("conv", attributes_of({{1}, {1}, {0}, {1}, 2}), {x, w})[0]),
            (std::vector<double>{21, 4300}));
}

TEST(Conv, Work) {
  const Registry registry = Registry::builtin();
  const OpDefinition& conv = registry.at("conv");
  const auto work = [&](const Window& window, const Shape& x, const Shape& w) {
    const Attributes attributes = attributes_of(window);
    const std::vector<TensorType> inputs = {{DType::kFloat32, x}, {DType::kFloat32, w}};
    const OpContext context{attributes, inputs};
    return conv.work(context, conv.infer_types(context));
  };
  const Work product = work({{1, 1}, {1, 1}, {1, 1}, {4, 5}}, {1, 8, 4, 5}, {16, 8, 3, 3});
  EXPECT_EQ(product.flops, Dim(2 * 16 * 4 * 5 * 8 * 9));
  EXPECT_EQ(product.product->m, Dim(20));
  EXPECT_EQ(product.kind, "");
  EXPECT_EQ(work({{1, 1}, {1, 1}, {0, 0}, {4, 5}}, {1, 8, 4, 5}, {16, 8, 1, 1}).kind, "pointwise");
  EXPECT_EQ(work({{2, 1}, {1, 1}, {0, 0}, {2, 5}}, {1, 8, 4, 5}, {16, 8, 1, 1}).kind, "");
  // One channel a group: the taps inside of the image, 3 · 4 − 2 of its lines, 3 · 5 − 2 of each.
  const Work depthwise = work({{1, 1}, {1, 1}, {1, 1}, {4, 5}, 8}, {1, 8, 4, 5}, {8, 1, 3, 3});
  EXPECT_EQ(depthwise.kind, "depthwise");
  EXPECT_EQ(depthwise.flops, Dim(2 * 8 * 10 * 13));
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const TensorType x{DType::kFloat32, {1, 4, 8, 8}};
  const TensorType w{DType::kFloat32, {6, 2, 3, 3}};
  const Window good{{1, 1}, {1, 1}, {1, 1}, {8, 8}, 2};
  const auto error = [&](const Window& window, const TensorType& a, const TensorType& b) {
    return inference_error("conv", attributes_of(window), {a, b});
  };
  EXPECT_NE(error({{1, 1}, {1, 1}, {1, 1}, {8, 8}, 1}, x, w), "");
  EXPECT_NE(error({{0, 1}, {1, 1}, {1, 1}, {8, 8}, 2}, x, w), "");
  EXPECT_NE(error({{1, 1}, {1, 0}, {1, 1}, {8, 8}, 2}, x, w), "");
  EXPECT_NE(error({{1}, {1, 1}, {1, 1}, {8, 8}, 2}, x, w), "");
  EXPECT_NE(error(good, x, {DType::kFloat16, w.shape}), "");
  EXPECT_NE(error(good, {DType::kFloat32, {4, 8}}, {DType::kFloat32, {6, 2}}), "");
}

struct RuleSizes {
  std::vector<int64_t> x;
  std::vector<int64_t> w;
  Window window;
  std::set<std::string> factors;
};

TEST(Conv, EveryStrategyGivesTheSame) {
  const std::set<std::string> images = {"n", "c", "o", "y", "x"};
  const std::set<std::string> grouped = {"n", "g", "c", "o", "y", "x"};
  const RuleSizes cases[] = {
      {{2, 4, 7, 6}, {6, 4, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {7, 6}}, images},
      // Shares of outputs that see more than the next rank has.
      {{1, 2, 9, 5}, {3, 2, 7, 5}, {{1, 1}, {1, 1}, {3, 2}, {9, 5}}, images},
      {{1, 2, 11, 8}, {2, 2, 3, 2}, {{2, 3}, {2, 1}, {1, 0}, {5, 3}}, images},
      // Steps over elements that no output sees, and outputs that see padding alone.
      {{1, 1, 9, 9}, {1, 1, 1, 1}, {{3, 3}, {1, 1}, {4, 0}, {5, 3}}, images},
      {{2, 4, 5, 5}, {8, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, {5, 5}, 4}, grouped},
      {{1, 6, 5, 4}, {6, 2, 3, 3}, {{2, 1}, {1, 1}, {1, 1}, {3, 4}, 3}, grouped},
      {{2, 3, 12}, {4, 3, 5}, {{2}, {1}, {2}, {6}}, {"n", "c", "o", "x"}},
      {{1, 2, 4, 5, 6},
       {3, 2, 3, 3, 3},
       {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {4, 5, 6}},
       {"n", "c", "o", "z", "y", "x"}},
      {{1, 3, 4, 4}, {5, 3, 1, 1}, {{1, 1}, {1, 1}, {0, 0}, {4, 4}}, images},
  };
  for (const RuleSizes& sizes : cases) {
    SCOPED_TRACE(text_of(Shape(sizes.x.begin(), sizes.x.end())));
    const auto found = check_rules({.op = "conv",
                                    .attributes = attributes_of(sizes.window),
                                    .inputs = {random_integers(DType::kFloat32, sizes.x, 1),
                                               random_integers(DType::kFloat32, sizes.w, 2)}});
    for (const std::string& factor : sizes.factors) EXPECT_TRUE(found.contains(factor)) << factor;
    EXPECT_TRUE(found.contains("partial 0"));
    EXPECT_TRUE(found.contains("partial 1"));
  }
}

TEST(Conv, StrategiesOfSymbolicSizes) {
  const Dim height = Dim::symbol("h");
  const Window window{{2, 1}, {1, 1}, {1, 1}, {floor_div(height - 1, 2) + 1, 5}};
  const auto found = check_rules({.op = "conv",
                                  .attributes = attributes_of(window),
                                  .inputs = {random_integers(DType::kFloat32, {1, 2, 9, 5}, 3),
                                             random_integers(DType::kFloat32, {2, 2, 3, 3}, 4)},
                                  .shapes = {{1, 2, height, 5}, {2, 2, 3, 3}},
                                  .symbols = {{"h", 9}}});
  EXPECT_TRUE(found.contains("y"));
}

}  // namespace
}  // namespace cleave::ops
