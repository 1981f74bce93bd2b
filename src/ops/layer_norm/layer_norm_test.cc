#include "ops/layer_norm/testing.h"

namespace cleave::ops {
namespace {

using testing::last;
using testing::tensor;

TEST(LayerNorm, KnownValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 4, 0, -1, 3});
  const HostTensor scale = tensor(DType::kFloat32, {3}, {1, 2, .5});
  const HostTensor bias = tensor(DType::kFloat32, {3}, {0, 1, -1});
  EXPECT_EQ(
      testing::difference(testing::run_reference("layer_norm", last(1), {x, scale, bias})[0],
                          tensor(DType::kFloat32, {2, 3},
                                 {-1.0690415314502977, 0.46547923427485094, -0.3318490428435641,
                                  -0.39223159141458575, -0.9611579570729287, -0.3135947150244749}),
                          1e-7),
      "");
}

TEST(LayerNorm, HalfStatisticsDoNotOverflow) { testing::check_half_statistics("layer_norm"); }

TEST(LayerNorm, RulesAndDecomposition) { testing::check_normalisation("layer_norm", 2); }

TEST(LayerNorm, Errors) { testing::check_normalisation_errors("layer_norm"); }

}  // namespace
}  // namespace cleave::ops
