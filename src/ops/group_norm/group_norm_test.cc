#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops_support/decomposition_check.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_reals;
using testing::run_reference;
using testing::tensor;
using testing::values_of;

const DType kF32 = DType::kFloat32;

Attributes groups_of(int64_t channels, double epsilon = 1e-5) {
  return {{"group_channels", Dim(channels)}, {"epsilon", epsilon}};
}

TEST(GroupNorm, KnownValues) {
  const HostTensor x = tensor(kF32, {1, 4, 2}, {1, 1, 3, 3, -4, 4, -4, 4});
  const HostTensor scale = tensor(kF32, {4}, {1, 2, 3, 4});
  const HostTensor bias = tensor(kF32, {4}, {0, 0, 10, 20});
  EXPECT_EQ(values_of(run_reference("group_norm", groups_of(2, 0), {x, scale, bias})[0]),
            (std::vector<double>{-1, -1, 2, 2, 7, 13, 16, 24}));
  // Each channel alone, as InstanceNormalization.
  const HostTensor y = run_reference("group_norm", groups_of(1, 1), {x, scale, bias})[0];
  EXPECT_EQ(y.get(0), 0);
  EXPECT_NEAR(y.get(5), 10 + 12 / std::sqrt(17.0), 1e-6);
}

TEST(GroupNorm, HalfStatisticsDoNotOverflow) {
  const HostTensor x = tensor(DType::kFloat16, {1, 1, 2}, {1000, -1000});
  const HostTensor one = tensor(DType::kFloat16, {1}, {1});
  const HostTensor zero = tensor(DType::kFloat16, {1}, {0});
  EXPECT_EQ(values_of(run_reference("group_norm", groups_of(1), {x, one, zero})[0]),
            (std::vector<double>{1, -1}));
}

TEST(GroupNorm, RulesAndDecomposition) {
  const Dim n = Dim::symbol("n");
  const Dim h = Dim::symbol("h");
  const std::set<std::string> strategies = {"n", "g"};
  for (const auto& [type, tolerance] :
       {std::pair{kF32, 2e-6}, {DType::kFloat16, 2e-3}, {DType::kFloat64, 1e-6}}) {
    for (const int64_t channels : {1, 2, 6}) {
      testing::RuleCase c{"group_norm",
                          groups_of(channels),
                          {random_reals(type, {5, 6, 3, 4}, 1), random_reals(type, {6}, 2),
                           random_reals(type, {6}, 3)}};
      EXPECT_EQ(testing::check_rules(c), strategies);
      c.tolerance = tolerance;
      testing::check_decomposition(c);
      c.shapes = {{n, 6, h, 4}, {6}, {6}};
      c.symbols = {{"n", 5}, {"h", 3}};
      testing::check_decomposition(c);
      c.tolerance = 0;
      EXPECT_EQ(testing::check_rules(c), strategies);
    }
  }
  testing::check_rules(
      {"group_norm",
       groups_of(2),
       {HostTensor(kF32, {2, 4, 0}), HostTensor(kF32, {4}), HostTensor(kF32, {4})}});
}

TEST(GroupNorm, Errors) {
  const TensorType x{kF32, {2, 6, 4}};
  const TensorType parameter{kF32, {6}};
  EXPECT_EQ(inference_error("group_norm", groups_of(4), {x, parameter, parameter}),
            "whole groups of 4 channels: 4 and 6 are not equal");
  EXPECT_EQ(inference_error("group_norm", groups_of(0), {x, parameter, parameter}),
            "a group has 0 channels");
  EXPECT_EQ(inference_error("group_norm", groups_of(2), {x, {kF32, {1, 6}}, parameter}),
            "the scale of group_norm, f32[1, 6] for f32[2, 6, 4], has not one element a channel");
  EXPECT_NE(inference_error("group_norm", groups_of(2), {x, parameter, {kF32, {3}}}), "");
  EXPECT_NE(inference_error("group_norm", groups_of(2, -1.0), {x, parameter, parameter}), "");
  EXPECT_NE(inference_error("group_norm", groups_of(1), {parameter, parameter, parameter}), "");
}

}  // namespace
}  // namespace cleave::ops
