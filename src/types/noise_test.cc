#include "types/noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/half.h"

namespace cleave {
namespace {

// Engines that hold noise were built by other versions: its bits are fixed.
TEST(Noise, ItsBitsAreFixed) {
  EXPECT_EQ(noise_at(0, 0), 0x1.8882a0e5ec772p-1);  // 0xe220a8397b1dcdaf of splitmix64
  EXPECT_EQ(noise_at(42, 1'000'000'007), 0x1.45c5f795f9124p-1);
  EXPECT_EQ(noise_at(~uint64_t{0}, ~uint64_t{0}), 0x1.a682afe7965dcp-2);
}

TEST(Noise, IsUniform) {
  constexpr int kCount = 100'000;
  double sum = 0;
  double squares = 0;
  for (uint64_t i = 0; i < kCount; ++i) {
    const double value = noise_at(7, i);
    ASSERT_GE(value, -1);
    ASSERT_LT(value, 1);
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.01);
}

TEST(Noise, IsRoundedToItsTypesInTurn) {
  const NoiseBox box = {.begin = {0}, .extent = {1000}, .seed = 5, .scale = 0.01, .strides = {1}};
  const DType types[] = {DType::kBFloat16, DType::kFloat16, DType::kFloat32};
  std::vector<float> made(1000);
  make_noise_run(types, box, 20, 3, 1000, reinterpret_cast<std::byte*>(made.data()));
  for (uint64_t i = 0; i < 1000; ++i) {
    const auto first = BFloat16(static_cast<float>(noise_at(5, 20 + 3 * i) * 0.01));
    EXPECT_EQ(made[i], static_cast<float>(Half(static_cast<float>(first))));
  }
}

}  // namespace
}  // namespace cleave
