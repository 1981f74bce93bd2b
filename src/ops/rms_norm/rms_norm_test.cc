#include <gtest/gtest.h>

#include "tests/ops_support/decomposition_check.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::difference;
using testing::inference_error;
using testing::random_reals;
using testing::tensor;

Attributes last(int64_t axes) { return {{"axes", Dim(axes)}, {"epsilon", 1e-6}}; }

TEST(RmsNorm, KnownValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 4, 0, -1, 3});
  const HostTensor scale = tensor(DType::kFloat32, {3}, {1, 2, .5});
  EXPECT_EQ(difference(testing::run_reference("rms_norm", last(1), {x, scale})[0],
                       tensor(DType::kFloat32, {2, 3},
                              {0.3779644460117677, 1.5118577840470708, 0.7559288920235354, 0.0,
                               -1.095444950693602, 0.8215837130202015}),
                       1e-7),
            "");
}

TEST(RmsNorm, HalfStatisticsDoNotOverflow) {
  const HostTensor x = tensor(DType::kFloat16, {1, 2}, {1000, -1000});
  EXPECT_EQ(testing::values_of(testing::run_reference("rms_norm", last(1), {x})[0]),
            (std::vector<double>{1, -1}));
}

TEST(RmsNorm, RulesAndDecomposition) {
  const Dim n = Dim::symbol("n");
  const Dim h = Dim::symbol("h");
  for (const DType type : {DType::kFloat32, DType::kBFloat16, DType::kFloat64}) {
    for (const bool scaled : {false, true}) {
      testing::RuleCase c{"rms_norm", last(1), {random_reals(type, {5, 2, 3}, 1)}};
      if (scaled) c.inputs.push_back(random_reals(type, {3}, 2));
      EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
      c.shapes = {{n, 2, h}, {h}};
      c.symbols = {{"n", 5}, {"h", 3}};
      EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
      c.tolerance = type == DType::kBFloat16 ? 1e-2 : 2e-6;
      testing::check_decomposition(c);
    }
  }
  testing::check_rules({"rms_norm", last(1), {HostTensor(DType::kFloat32, {0, 3})}});
}

TEST(RmsNorm, Errors) {
  const TensorType x{DType::kFloat32, {2, 3}};
  EXPECT_NE(inference_error("rms_norm", last(3), {x}), "");
  EXPECT_NE(inference_error("rms_norm", last(1), {x, {DType::kFloat32, {2}}}), "");
  EXPECT_NE(
      inference_error("rms_norm", last(1), {x, {DType::kFloat32, {3}}, {DType::kFloat32, {3}}}),
      "");
}

}  // namespace
}  // namespace cleave::ops
