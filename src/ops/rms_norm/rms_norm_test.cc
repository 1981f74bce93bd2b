#include "ops/layer_norm/testing.h"

namespace cleave::ops {
namespace {

using testing::last;
using testing::tensor;

TEST(RmsNorm, KnownValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 4, 0, -1, 3});
  const HostTensor scale = tensor(DType::kFloat32, {3}, {1, 2, .5});
  EXPECT_EQ(testing::difference(testing::run_reference("rms_norm", last(1, 1e-6), {x, scale})[0],
                                tensor(DType::kFloat32, {2, 3},
                                       {0.3779644460117677, 1.5118577840470708, 0.7559288920235354,
                                        0.0, -1.095444950693602, 0.8215837130202015}),
                                1e-7),
            "");
}

TEST(RmsNorm, HalfStatisticsDoNotOverflow) { testing::check_half_statistics("rms_norm"); }

TEST(RmsNorm, RulesAndDecomposition) { testing::check_normalisation("rms_norm", 1); }

TEST(RmsNorm, Errors) {
  testing::check_normalisation_errors("rms_norm");
  const TensorType scale{DType::kFloat32, {3}};
  EXPECT_NE(
      testing::inference_error("rms_norm", last(1), {{DType::kFloat32, {2, 3}}, scale, scale}), "");
}

}  // namespace
}  // namespace cleave::ops
