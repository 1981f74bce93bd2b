#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <span>

#include "ops/resize/windows.h"
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

const char* const kCoordinates[] = {"half_pixel",         "half_pixel_symmetric",
                                    "pytorch_half_pixel", "align_corners",
                                    "asymmetric",         "tf_half_pixel_for_nn"};

struct Lengths {
  int64_t in, out;
  double scale = 0;  // where it is given
};
const Lengths kLengths[] = {{10, 12, 1.2F}, {9, 3, 1.0F / 3}, {7, 9, 1.3F}, {9, 13, 1.5},
                            {31, 3, 0.1F},  {4, 8},           {6, 9},       {8, 4},
                            {5, 7},         {9, 3},           {3, 12},      {10, 4},
                            {2, 34},        {33, 100}};

// The attributes of one resized dimension, in every way.
std::vector<Attributes> all_attributes(const Lengths& lengths) {
  const int64_t out = lengths.out;
  std::vector<Attributes> all;
  for (const char* coordinates : kCoordinates) {
    for (const char* rounding : {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}) {
      all.push_back(to(out, "nearest", coordinates));
      all.back().set("rounding", rounding);
    }
    for (const char* mode : {"linear", "cubic"}) {
      for (const int64_t antialias : {0, 1}) {
        all.push_back(to(out, mode, coordinates));
        all.back().set("antialias", Dim(antialias));
      }
    }
  }
  for (Attributes& attributes : all) {
    if (lengths.scale != 0) attributes.set("scales", Values{lengths.scale});
  }
  return all;
}

// Where the result is not as long as the scale says to a fraction, these differ from all others.
bool is_splittable(const Attributes& attributes, const Lengths& lengths) {
  const std::string coordinates = attributes.string("coordinates");
  const double length = static_cast<double>(lengths.in) * lengths.scale;
  const bool is_cut = lengths.scale != 0 && std::abs(length - std::round(length)) > 0.01;
  return !is_cut || (coordinates != "align_corners" && coordinates != "half_pixel_symmetric");
}

TEST(Resize, RulesOfEveryAttribute) {
  for (const Lengths& lengths : kLengths) {
    const auto& [in, out, scale] = lengths;
    const HostTensor x = testing::random_integers(kF32, {2, in}, 1);
    for (Attributes attributes : all_attributes(lengths)) {
      attributes.set("shape", Shape{2, out});
      attributes.set("axes", Shape{1});
      const auto found = testing::check_rules({"resize", attributes, {x}, 1e-5});
      EXPECT_TRUE(found.contains("d0"));
      EXPECT_EQ(found.contains("d1"), is_splittable(attributes, lengths)) << attributes.text();
    }
  }
}

// What windows hold is all that is taken, also where positions are far from 0, and not much more.
TEST(Resize, WindowsHoldWhatIsTaken) {
  constexpr Lengths kFar[] = {
      {300000, 600000}, {300000, 900000}, {350000, 50000}, {123457, 200001}};
  for (const auto& lengths : {std::span<const Lengths>(kLengths), std::span<const Lengths>(kFar)}) {
    for (const Lengths& length : lengths) {
      const auto& [in, out, scale] = length;
      for (const Attributes& attributes : all_attributes(length)) {
        if (!is_splittable(attributes, length)) continue;
        SCOPED_TRACE(attributes.text() + " of " + std::to_string(in));
        const ResizeSplit split = resize_split(attributes, 0, in, out);
        const ResizeTaps taps = resize_taps(attributes, 0, in, out);
        ASSERT_TRUE(split.copies || split.window);
        if (split.window) {
          EXPECT_LE(split.window->size, taps.count + 3);
        }
        for (int64_t u = 0; u < out; ++u) {
          int64_t begin = u;
          int64_t size = 1;
          if (split.copies) {
            begin = u / *split.copies;
          } else {
            const layout::WindowUse& use = *split.window;
            begin = floor_div(u * use.stride - use.before.constant(), use.divisor);
            size = use.size;
          }
          const auto first = taps.source.begin() + u * taps.count;
          const auto [least, most] = std::minmax_element(first, first + taps.count);
          ASSERT_LE(begin, *least) << "element " << u;
          ASSERT_LT(*most, begin + size) << "element " << u;
        }
      }
    }
  }
}

TEST(Resize, NearestElementsAreCopies) {
  const auto copies = [](const char* coordinates, const char* rounding, int64_t times) {
    Attributes attributes = to(5 * times, "nearest", coordinates);
    attributes.set("rounding", rounding);
    return resize_split(attributes, 0, 5, 5 * times).copies.value_or(0);
  };
  EXPECT_EQ(copies("half_pixel", "round_prefer_floor", 2), 2);
  EXPECT_EQ(copies("half_pixel", "round_prefer_ceil", 3), 3);
  EXPECT_EQ(copies("asymmetric", "floor", 4), 4);
  EXPECT_EQ(copies("asymmetric", "round_prefer_floor", 2), 2);
  EXPECT_EQ(copies("tf_half_pixel_for_nn", "floor", 2), 2);
  // The first element stands for two, the others for four.
  EXPECT_EQ(copies("asymmetric", "round_prefer_ceil", 4), 0);
  EXPECT_EQ(copies("asymmetric", "ceil", 2), 0);
  EXPECT_EQ(copies("align_corners", "floor", 2), 0);
}

TEST(Resize, RulesOfSymbolicSizes) {
  const Dim n = Dim::symbol("n");
  const HostTensor x = testing::random_integers(kF32, {5, 3, 4, 6}, 1);
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    testing::RuleCase c{"resize",
                        {{"shape", Shape{n, 3, n * 2 - 2, n - 2}},
                         {"axes", Shape{2, 3}},
                         {"mode", mode},
                         {"coordinates", "half_pixel"}},
                        {x},
                        1e-5,
                        {{n, 3, n - 1, n + 1}},
                        {{"n", 5}}};
    // The quotient of the last dimension's sizes is not known.
    std::set<std::string> names = {"d0", "d1", "d2", "partial 0"};
    if (std::string(mode) == "nearest") {
      names.insert({"partial 0:max", "partial 0:min", "partial 0:prod"});
    }
    EXPECT_EQ(testing::check_rules(c), names);
    c.attributes.set("scales", Values{2, 0.5});
    if (std::string(mode) == "nearest") c.attributes.set("coordinates", "asymmetric");
    EXPECT_EQ(testing::check_rules(c), names);
    c.attributes.set("shape", Shape{n, 3, n * 2 - 2, floor_div(n + 1, 2)});
    names.insert("d3");
    EXPECT_EQ(testing::check_rules(c), names);
    c.attributes.set("coordinates", "tf_crop_and_resize");
    c.attributes.set("roi", Values{0, 2, 0, 1});
    EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
  }
}

// Halves are halves however far they are from 0.
TEST(Resize, NearestOfALongSignal) {
  const int64_t in = int64_t{1} << 20;
  const ResizeTaps taps = resize_taps(to(2 * in, "nearest", "half_pixel"), 0, in, 2 * in);
  for (int64_t u = 0; u < 2 * in; ++u) ASSERT_EQ(taps.source[static_cast<size_t>(u)], u / 2);
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
  Attributes part = to(4, "linear", "half_pixel");
  part.set("begin_in", Shape{});
  EXPECT_EQ(error(part, {kF32, {2}}), "resize needs begin_in for each axis");
  Attributes twice = to(4, "linear", "half_pixel");
  twice.set("axes", Shape{0, 0});
  EXPECT_NE(error(twice, {kF32, {2}}), "");
  EXPECT_NE(error(to(4, "linear", "half_pixel"), {kF32, {2, 2}}), "");
}

}  // namespace
}  // namespace cleave::ops
