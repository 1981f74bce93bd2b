#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Values = std::vector<double>;

const DType kF32 = DType::kFloat32;

Attributes align(Shape bins, int64_t samples, const char* mode = "mean", int64_t half_pixel = 1) {
  return {{"bins", std::move(bins)},
          {"samples", Dim(samples)},
          {"mode", mode},
          {"half_pixel", Dim(half_pixel)}};
}

// Of one image of 2 × 4: 0 1 2 3 / 4 5 6 7.
Values run(const Attributes& attributes, const Values& corners, int64_t image = 0) {
  const auto count = static_cast<int64_t>(corners.size()) / 4;
  HostTensor images(DType::kInt64, {count});
  for (int64_t i = 0; i < count; ++i) images.set_integer(i, image);
  const HostTensor x = tensor(kF32, {1, 1, 2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  return values_of(
      run_reference("roi_align", attributes, {x, tensor(kF32, {count, 4}, corners), images})[0]);
}

TEST(RoiAlign, MeansOfSamples) {
  // Between elements 1 and 2 of the rows 0 and 1, half an element from each.
  EXPECT_EQ(run(align({1, 1}, 1), {1, 0, 3, 2}), Values{3.5});
  // One element a bin.
  EXPECT_EQ(run(align({2, 2}, 1), {1, 0, 3, 2}), (Values{1, 2, 5, 6}));
  EXPECT_EQ(run(align({2, 2}, 0), {1, 0, 3, 2}), (Values{1, 2, 5, 6}));
  // Two samples a dimension, at quarters of the bin.
  EXPECT_EQ(run(align({1, 1}, 2), {0, 0, 4, 2}), Values{3.5});
  // Without the half, the corner is the element.
  EXPECT_EQ(run(align({1, 1}, 1, "mean", 0), {0.5, 0, 1.5, 1}), Values{3});
  // Such a region is one element large at least.
  EXPECT_EQ(run(align({1, 1}, 1, "mean", 0), {1, 0, 1, 0}), Values{3.5});
  Attributes halved = align({1, 1}, 1);
  halved.set("scale", 0.5);
  EXPECT_EQ(run(halved, {2, 0, 6, 4}), Values{3.5});
}

TEST(RoiAlign, LargestOfWeightedElements) {
  // A quarter of each of four elements: that of 6.
  EXPECT_EQ(run(align({1, 1}, 1, "max"), {1, 0, 3, 2}), Values{1.5});
}

TEST(RoiAlign, OutsideIsZero) {
  // Half an element beyond the border is the border's, more than one is nothing.
  EXPECT_EQ(run(align({1, 1}, 1), {-1, -1, 1, 1}), Values{0});
  EXPECT_EQ(run(align({1, 2}, 1), {3, 1, 7, 2}), (Values{7, 0}));
  EXPECT_EQ(run(align({1, 1}, 1), {1e30, 0, 2e30, 1}), Values{0});
  EXPECT_EQ(run(align({1, 1}, 0), {NAN, 0, 1, 1}), Values{0});
  EXPECT_EQ(run(align({1, 1}, 0), {2, 1, 1, 0}), Values{0});  // no region
  EXPECT_EQ(run(align({1, 1}, 1), {1, 0, 3, 2}, 1), Values{0});
  EXPECT_EQ(run(align({1, 1}, 1), {1, 0, 3, 2}, -1), Values{3.5});
}

TEST(RoiAlign, Rules) {
  const Dim r = Dim::symbol("r");
  HostTensor rois = testing::random_reals(kF32, {5, 4}, 2, 0, 3);
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t corner : {2, 3}) rois.set(4 * i + corner, rois.get(4 * i + corner) + 3);
  }
  const HostTensor images = testing::random_integers(DType::kInt64, {5}, 3, 0, 3);
  for (const std::string mode : {"mean", "max"}) {
    testing::RuleCase c{"roi_align",
                        align({2, 3}, 0, mode.c_str()),
                        {testing::random_integers(kF32, {3, 4, 5, 6}, 1), rois, images},
                        1e-5,
                        {{3, 4, 5, 6}, {r, 4}, {r}},
                        {{"r", 5}}};
    std::set<std::string> names = {"n", "c", "r"};
    if (mode == "mean") names.insert("partial 0");
    EXPECT_EQ(testing::check_rules(c), names);
  }
}

TEST(RoiAlign, Errors) {
  const TensorType x{kF32, {1, 1, 2, 4}};
  const TensorType rois{kF32, {3, 4}};
  const TensorType images{DType::kInt64, {3}};
  const auto error = [&](const Attributes& attributes, const std::vector<TensorType>& inputs) {
    return inference_error("roi_align", attributes, inputs);
  };
  const Attributes good = align({2, 2}, 0);
  EXPECT_EQ(error(good, {x, rois, images}), "");
  EXPECT_EQ(error(good, {x, rois, {kF32, {3}}}),
            "the indices of roi_align are f32, but must be i32 or i64");
  EXPECT_EQ(error(good, {x, {kF32, {3, 5}}, images}),
            "the coordinates of a region's corners: 5 and 4 are not equal");
  EXPECT_EQ(error(good, {x, rois, {DType::kInt64, {2}}}),
            "the regions and their images: 3 and 2 are not equal");
  EXPECT_NE(error(good, {{kF32, {1, 1, 4}}, rois, images}), "");
  EXPECT_EQ(error(align({2}, 0), {x, rois, images}), "roi_align needs bins along y and x, not [2]");
  EXPECT_EQ(error(align({2, -2}, 0), {x, rois, images}), "a number of bins is negative: -2");
  EXPECT_EQ(error(align({2, 2}, -1), {x, rois, images}), "roi_align takes -1 samples a bin");
  EXPECT_EQ(error(align({2, 2}, 0, "avg"), {x, rois, images}), "the mode of roi_align is 'avg'");
}

}  // namespace
}  // namespace cleave::ops
