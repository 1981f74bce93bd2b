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

Attributes sampling(const char* mode, const char* padding, int64_t align_corners = 0) {
  return {{"mode", mode}, {"padding", padding}, {"align_corners", Dim(align_corners)}};
}

// Points along one line.
Values run(const Attributes& attributes, const Values& x, const Values& points) {
  return values_of(
      run_reference("grid_sample", attributes,
                    {tensor(kF32, {1, 1, static_cast<int64_t>(x.size())}, x),
                     tensor(kF32, {1, static_cast<int64_t>(points.size()), 1}, points)})[0]);
}

TEST(GridSample, KnownValues) {
  const Values x = {4, 8, 12, 16};
  EXPECT_EQ(run(sampling("linear", "zeros"), x, {-0.75, 0, 0.5, 1}), (Values{4, 10, 14, 8}));
  EXPECT_EQ(run(sampling("linear", "zeros", 1), x, {-1, 0, 1}), (Values{4, 10, 16}));
  EXPECT_EQ(run(sampling("nearest", "zeros"), x, {-0.75, 0.1, 2}), (Values{4, 12, 0}));
  // A tie goes to the even element.
  EXPECT_EQ(run(sampling("nearest", "zeros"), x, {-0.5, 0}), (Values{4, 12}));
  EXPECT_EQ(run(sampling("linear", "border"), x, {-3, 3}), (Values{4, 16}));
  EXPECT_EQ(run(sampling("linear", "reflection"), x, {-1.25, 1.5}), (Values{4, 14}));
  EXPECT_EQ(run(sampling("linear", "reflection", 1), {7}, {0.3}), Values{7});
  // Elements beyond the border have the weights of their place.
  EXPECT_EQ(run(sampling("cubic", "border"), x, {-0.25, 0, -1}), (Values{8, 10, 3.625}));
}

TEST(GridSample, CoordinatesBeginWithTheLastDimension) {
  const HostTensor x = tensor(kF32, {1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor points = tensor(kF32, {1, 1, 2, 2}, {1, -1, -1, 1});
  EXPECT_EQ(values_of(run_reference("grid_sample", sampling("linear", "zeros", 1), {x, points})[0]),
            (Values{3, 4}));
}

TEST(GridSample, CoordinatesThatAreNoNumbers) {
  const Values far = {NAN, INFINITY, -INFINITY, 1e30};
  EXPECT_EQ(run(sampling("linear", "zeros"), {1, 2}, far), (Values{0, 0, 0, 0}));
  EXPECT_EQ(run(sampling("cubic", "border"), {1, 2}, far), (Values{1, 2, 1, 2}));
  for (const double value : run(sampling("nearest", "reflection"), {1, 2}, far)) {
    EXPECT_TRUE(value == 1 || value == 2);
  }
}

TEST(GridSample, Rules) {
  const Dim n = Dim::symbol("n");
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    testing::RuleCase c{"grid_sample",
                        sampling(mode, "zeros"),
                        {testing::random_integers(kF32, {5, 3, 4, 6}, 1),
                         testing::random_reals(kF32, {5, 4, 3, 2}, 2, -1.2, 1.2)},
                        1e-5};
    const std::set<std::string> names = {"n", "c", "p0", "p1", "partial 0"};
    EXPECT_EQ(testing::check_rules(c), names);
    c.shapes = {{n, 3, n - 1, 6}, {n, n - 1, 3, 2}};
    c.symbols = {{"n", 5}};
    EXPECT_EQ(testing::check_rules(c), names);
  }
}

TEST(GridSample, Errors) {
  const TensorType x{kF32, {2, 3, 4, 5}};
  const auto error = [&](const Attributes& attributes, const TensorType& grid) {
    return inference_error("grid_sample", attributes, {x, grid});
  };
  EXPECT_EQ(error(sampling("bilinear", "zeros"), {kF32, {2, 6, 7, 2}}),
            "mode of grid_sample is 'bilinear'");
  EXPECT_EQ(error(sampling("linear", "wrap"), {kF32, {2, 6, 7, 2}}),
            "padding of grid_sample is 'wrap'");
  EXPECT_EQ(error(sampling("linear", "zeros"), {kF32, {2, 6, 2}}),
            "grid_sample takes [n, c, image...] and [n, points..., coordinates], not "
            "f32[2, 3, 4, 5] and f32[2, 6, 2]");
  EXPECT_NE(error(sampling("linear", "zeros"), {kF32, {1, 6, 7, 2}}), "");
  EXPECT_NE(error(sampling("linear", "zeros"), {kF32, {2, 6, 7, 3}}), "");
  EXPECT_NE(error(sampling("linear", "zeros"), {DType::kInt32, {2, 6, 7, 2}}), "");
}

}  // namespace
}  // namespace cleave::ops
