#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"
#include "types/resize_taps.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Values = std::vector<double>;

const DType kF32 = DType::kFloat32;

// Of one dimension of `out` elements.
Attributes to(int64_t out, const char* mode, const char* coordinates) {
  return {{"shape", Shape{out}}, {"axes", Shape{0}}, {"mode", mode}, {"coordinates", coordinates}};
}

Values run(const Attributes& attributes, const Values& x) {
  const auto size = static_cast<int64_t>(x.size());
  return values_of(run_reference("resize", attributes, {tensor(kF32, {size}, x)})[0]);
}

TEST(Resize, Coordinates) {
  const Values x = {0, 1, 2, 3};
  EXPECT_EQ(run(to(8, "linear", "half_pixel"), x),
            (Values{0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3}));
  EXPECT_EQ(run(to(8, "linear", "asymmetric"), x), (Values{0, 0.5, 1, 1.5, 2, 2.5, 3, 3}));
  EXPECT_EQ(run(to(7, "linear", "align_corners"), x), (Values{0, 0.5, 1, 1.5, 2, 2.5, 3}));
  EXPECT_EQ(run(to(1, "linear", "align_corners"), x), Values{0});
  EXPECT_EQ(run(to(1, "linear", "half_pixel"), x), Values{1.5});
  EXPECT_EQ(run(to(1, "linear", "pytorch_half_pixel"), x), Values{0});
  EXPECT_EQ(run(to(2, "linear", "tf_half_pixel_for_nn"), x), (Values{1, 3}));
  // The scale gives 2.5 elements: the result is centred over them.
  Attributes centred = to(2, "linear", "half_pixel_symmetric");
  centred.set("scales", std::vector<double>{0.625});
  EXPECT_NEAR(run(centred, x)[0], 0.7, 1e-6);
  EXPECT_NEAR(run(centred, x)[1], 2.3, 1e-6);
}

TEST(Resize, CropsAndExtrapolates) {
  Attributes crop = to(3, "linear", "tf_crop_and_resize");
  crop.set("roi", Values{0.5, 1.5});
  crop.set("extrapolation", 9.0);
  EXPECT_EQ(run(crop, {0, 1, 2}), (Values{1, 2, 9}));
}

TEST(Resize, NearestRounds) {
  const Values x = {0, 1, 2, 3};
  const auto rounded = [&](const char* rounding) {
    Attributes attributes = to(8, "nearest", "asymmetric");
    attributes.set("rounding", rounding);
    return run(attributes, x);
  };
  EXPECT_EQ(rounded("floor"), (Values{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(rounded("ceil"), (Values{0, 1, 1, 2, 2, 3, 3, 3}));
  EXPECT_EQ(rounded("round_prefer_floor"), (Values{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(rounded("round_prefer_ceil"), (Values{0, 1, 1, 2, 2, 3, 3, 3}));
  // 6 / 1.2, with 1.2 as float32 has it: the sixth element, not the fifth.
  Attributes scaled = to(8, "nearest", "asymmetric");
  scaled.set("scales", Values{static_cast<double>(1.2f)});
  scaled.set("rounding", "floor");
  EXPECT_EQ(run(scaled, {0, 1, 2, 3, 4, 5, 6})[6], 5);
}

TEST(Resize, NearestKeepsEveryBit) {
  HostTensor x(DType::kInt64, {1});
  x.set_integer(0, (int64_t{1} << 53) + 1);
  const HostTensor y = run_reference("resize", to(2, "nearest", "half_pixel"), {x})[0];
  EXPECT_EQ(y.get_integer(1), x.get_integer(0));
}

TEST(Resize, CubicAndAntialias) {
  EXPECT_EQ(run(to(1, "cubic", "half_pixel"), {0, 1, 1, 0}), Values{1.1875});
  Attributes left_out = to(1, "cubic", "half_pixel");
  left_out.set("exclude_outside", Dim(1));
  EXPECT_EQ(run(left_out, {1, 3}), Values{2});
  // Halved, each element stands for four: weights 1/8, 3/8, 3/8, 1/8.
  Attributes smooth = to(2, "linear", "half_pixel");
  smooth.set("antialias", Dim(1));
  EXPECT_EQ(run(smooth, {8, 0, 0, 0}), (Values{4, 0}));
  EXPECT_EQ(run(smooth, {0, 0, 8, 0}), (Values{1, 3}));
  for (const char* mode : {"linear", "cubic"}) {
    Attributes attributes = to(3, mode, "half_pixel");
    attributes.set("antialias", Dim(1));
    const ResizeTaps taps = resize_taps(attributes, 0, 10, 3);
    for (int64_t e = 0; e < 3; ++e) {
      const auto first = taps.weight.begin() + e * taps.count;
      EXPECT_NEAR(std::accumulate(first, first + taps.count, 0.0), 1, 1e-12);
    }
  }
}

TEST(Resize, Rules) {
  const Dim n = Dim::symbol("n");
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    testing::RuleCase c{"resize",
                        {{"shape", Shape{n, 3, 8, n - 2}},
                         {"axes", Shape{2, 3}},
                         {"mode", mode},
                         {"coordinates", "half_pixel"}},
                        {testing::random_integers(kF32, {5, 3, 4, 6}, 1)},
                        1e-5,
                        {{n, 3, 4, n + 1}},
                        {{"n", 5}}};
    std::set<std::string> names = {"d0", "d1", "partial 0"};
    if (std::string(mode) == "nearest") {
      names.insert({"partial 0:max", "partial 0:min", "partial 0:prod"});
    }
    EXPECT_EQ(testing::check_rules(c), names);
    c.attributes.set("coordinates", "tf_crop_and_resize");
    c.attributes.set("roi", Values{0, 2, 0, 1});
    EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
  }
}

TEST(Resize, Errors) {
  const auto error = [](const Attributes& attributes, const TensorType& x) {
    return inference_error("resize", attributes, {x});
  };
  EXPECT_EQ(error(to(4, "bilinear", "half_pixel"), {kF32, {2}}), "mode of resize is 'bilinear'");
  EXPECT_EQ(error(to(4, "linear", "corners"), {kF32, {2}}), "coordinates of resize is 'corners'");
  EXPECT_EQ(error(to(4, "linear", "half_pixel"), {DType::kInt32, {2}}),
            "the operand of an interpolation is i32, but must be floating point");
  EXPECT_EQ(error(to(4, "linear", "half_pixel"), {kF32, {0}}),
            "dimension 0 of f32[0] has nothing to resize");
  EXPECT_EQ(error(to(-4, "linear", "half_pixel"), {kF32, {2}}),
            "a size that resize is to give is negative: -4");
  EXPECT_EQ(error(to(int64_t{1} << 40, "linear", "half_pixel"), {kF32, {2}}),
            "resize to [1099511627776] overflows");
  for (const double scale : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    Attributes scaled = to(4, "linear", "half_pixel");
    scaled.set("scales", Values{scale});
    EXPECT_NE(error(scaled, {kF32, {2}}).find("but must be above 0"), std::string::npos);
  }
  Attributes twice = to(4, "linear", "half_pixel");
  twice.set("axes", Shape{0, 0});
  EXPECT_NE(error(twice, {kF32, {2}}), "");
  EXPECT_NE(error(to(4, "linear", "half_pixel"), {kF32, {2, 2}}), "");
}

}  // namespace
}  // namespace cleave::ops
