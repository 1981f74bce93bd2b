// Fills, and NumPy's test of equality.
#include "values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cleave/error.h"
#include "compare.h"
#include "fill.h"

namespace cleave::cli {
namespace {

Tensor floats(std::vector<float> values) {
  const auto count = static_cast<int64_t>(values.size());
  return Tensor::of<float>({count}, values);
}

std::vector<double> fill_values(const char* text, DType type, std::vector<int64_t> shape) {
  std::vector<double> values;
  for_each_value(filled(Fill::parse(text), type, std::move(shape), 3),
                 [&](int64_t, double value) { values.push_back(value); });
  return values;
}

TEST(Fill, FollowsItsRule) {
  EXPECT_EQ(fill_values("x=zeros", DType::kFloat16, {2}), (std::vector<double>{0, 0}));
  EXPECT_EQ(fill_values("x=ones", DType::kBool, {2}), (std::vector<double>{1, 1}));
  EXPECT_EQ(fill_values("a=b=iota", DType::kInt64, {2, 2}), (std::vector<double>{0, 1, 2, 3}));
  const auto uniform = fill_values("x=uniform:-3:-2", DType::kFloat32, {1000});
  for (const double value : uniform) EXPECT_TRUE(value >= -3 && value <= -2) << value;
  EXPECT_NE(uniform[0], uniform[1]);
  std::vector<int> counts(4);
  for (const double value : fill_values("x=randint:2:6", DType::kInt32, {1000})) {
    ++counts.at(static_cast<size_t>(value) - 2);
  }
  for (const int count : counts) EXPECT_GT(count, 150);
}

TEST(Fill, IsAFunctionOfNameAndSeed) {
  Fill noise;
  noise.name = "x";
  const auto bytes = [](const Tensor& tensor) {
    return std::string(reinterpret_cast<const char*>(tensor.data()), tensor.bytes());
  };
  const std::string first = bytes(filled(noise, DType::kFloat32, {64}, 1));
  EXPECT_EQ(bytes(filled(noise, DType::kFloat32, {64}, 1)), first);
  EXPECT_NE(bytes(filled(noise, DType::kFloat32, {64}, 2)), first);
  noise.name = "y";
  EXPECT_NE(bytes(filled(noise, DType::kFloat32, {64}, 1)), first);
}

// A row of zeros would be a mask that leaves nothing.
TEST(Fill, NoiseOfIntegersIsLegalAsTokenAndAsMask) {
  const Tensor tensor = filled({}, DType::kInt64, {50, 4}, 0);
  for (size_t i = 0; i < 200; ++i) {
    const int64_t value = tensor.span<int64_t>()[i];
    EXPECT_TRUE(value == 0 || value == 1);
    if (i % 4 == 0) {
      EXPECT_EQ(value, 1);
    }
  }
}

TEST(Fill, RefusesWhatIsNoRule) {
  for (const char* text : {"x", "=zeros", "x=", "x=two", "x=uniform", "x=uniform:1",
                           "x=uniform:2:1", "x=uniform:0:inf", "x=randint:1:1", "x=randint:a:b"}) {
    EXPECT_THROW(Fill::parse(text), Error) << text;
  }
}

TEST(Compare, IsNumPysTest) {
  const Tensor wanted = floats({100, -1, 0});
  const Tensor got = floats({101, -1, 0.5F});
  const Difference difference = compare(got, wanted, {.relative = 0.01, .absolute = 0.1});
  EXPECT_EQ(difference.max_abs, 1);
  EXPECT_EQ(difference.max_rel, 0.01);
  EXPECT_EQ(difference.failed, 1);
  EXPECT_EQ(difference.first_failed, 2);
  EXPECT_TRUE(compare(got, wanted, {.relative = 0, .absolute = 1}).passed());
  EXPECT_FALSE(compare(got, wanted, {}).passed());
  EXPECT_TRUE(compare(wanted, wanted, {.relative = 0, .absolute = 0}).passed());
}

TEST(Compare, NumbersThatAreNone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(compare(floats({nan, infinity}), floats({nan, infinity}), {}).passed());
  EXPECT_FALSE(compare(floats({nan}), floats({1}), {}).passed());
  EXPECT_FALSE(compare(floats({1}), floats({nan}), {}).passed());
  EXPECT_FALSE(compare(floats({1}), floats({infinity}), {}).passed());
  EXPECT_FALSE(compare(floats({-infinity}), floats({infinity}), {}).passed());
}

TEST(Compare, TypesAndShapesMustAgree) {
  EXPECT_THROW(compare(floats({1}), floats({1, 2}), {}), Error);
  EXPECT_THROW(compare(floats({1}), Tensor(DType::kInt32, {1}), {}), Error);
}

}  // namespace
}  // namespace cleave::cli
