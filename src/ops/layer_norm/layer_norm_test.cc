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

Attributes last(int64_t axes) { return {{"axes", Dim(axes)}, {"epsilon", 1e-5}}; }

TEST(LayerNorm, KnownValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 4, 0, -1, 3});
  const HostTensor scale = tensor(DType::kFloat32, {3}, {1, 2, .5});
  const HostTensor bias = tensor(DType::kFloat32, {3}, {0, 1, -1});
  EXPECT_EQ(difference(testing::run_reference("layer_norm", last(1), {x, scale, bias})[0],
                       tensor(DType::kFloat32, {2, 3},
                              {-1.0690415314502977, 0.46547923427485094, -0.3318490428435641,
                               -0.39223159141458575, -0.9611579570729287, -0.3135947150244749}),
                       1e-7),
            "");
}

TEST(LayerNorm, HalfStatisticsDoNotOverflow) {
  // The squares leave float16.
  const HostTensor x = tensor(DType::kFloat16, {1, 2}, {1000, -1000});
  EXPECT_EQ(testing::values_of(testing::run_reference("layer_norm", last(1), {x})[0]),
            (std::vector<double>{1, -1}));
}

TEST(LayerNorm, RulesAndDecomposition) {
  const Dim n = Dim::symbol("n");
  const Dim h = Dim::symbol("h");
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kFloat64}) {
    const double tolerance = type == DType::kFloat16 ? 2e-3 : 2e-6;
    for (int operands = 0; operands < 4; ++operands) {
      testing::RuleCase c{"layer_norm", last(2), {random_reals(type, {5, 2, 3, 4}, 1)}};
      c.inputs.push_back(random_reals(type, {3, 4}, 2));
      c.inputs.push_back(random_reals(type, {3, 4}, 3));
      if ((operands & 1) == 0) c.inputs[1].reset();
      if ((operands & 2) == 0) c.inputs[2].reset();
      EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
      c.tolerance = tolerance;
      testing::check_decomposition(c);
      c.shapes = {{n, 2, h, 4}, {h, 4}, {h, 4}};
      c.symbols = {{"n", 5}, {"h", 3}};
      c.tolerance = 0;
      EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
      c.tolerance = tolerance;
      testing::check_decomposition(c);
    }
  }
  testing::check_rules({"layer_norm", last(1), {HostTensor(DType::kFloat32, {0, 3})}});
  testing::check_rules({"layer_norm", last(1), {HostTensor(DType::kFloat32, {3, 0})}});
}

TEST(LayerNorm, Errors) {
  const TensorType x{DType::kFloat32, {2, 3}};
  EXPECT_EQ(inference_error("layer_norm", last(3), {x}),
            "cannot normalise the last 3 dimensions of f32[2, 3]");
  EXPECT_NE(inference_error("layer_norm", last(0), {x}), "");
  EXPECT_NE(inference_error("layer_norm", last(1), {x, {DType::kFloat32, {2}}}), "");
  EXPECT_EQ(inference_error("layer_norm", last(1), {x, {DType::kFloat32, {1, 3}}}),
            "the scale of layer_norm, f32[1, 3] for f32[2, 3], has not the shape of the normalised "
            "dimensions");
  EXPECT_NE(inference_error("layer_norm", last(1), {x, {DType::kFloat16, {3}}}), "");
  EXPECT_NE(inference_error("layer_norm", last(1), {{DType::kInt32, {2, 3}}}), "");
  EXPECT_NE(inference_error("layer_norm", {{"axes", Dim(1)}, {"epsilon", -1.0}}, {x}), "");
}

}  // namespace
}  // namespace cleave::ops
