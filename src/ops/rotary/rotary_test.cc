#include <gtest/gtest.h>

#include "tests/ops_support/decomposition_check.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::difference;
using testing::inference_error;
using testing::random_integers;
using testing::random_reals;
using testing::tensor;

TensorType f32(Shape shape) { return {DType::kFloat32, std::move(shape)}; }

TEST(Rotary, KnownValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  const HostTensor cos =
      tensor(DType::kFloat32, {2, 2},
             {0.9950041652780258, 0.9800665778412416, 0.955336489125606, 0.9210609940028851});
  const HostTensor sin =
      tensor(DType::kFloat32, {2, 2},
             {0.09983341664682815, 0.19866933079506122, 0.29552020666133955, 0.3894183423086505});
  EXPECT_EQ(difference(testing::run_reference("rotary", {}, {x, cos, sin})[0],
                       tensor(DType::kFloat32, {2, 4},
                              {-0.1996668332936563, 0.384058585456058, 1.9900083305560516,
                               3.1388690643187864, 2.0482247165343868, 1.8793765738538717,
                               6.914099761398995, 8.394518669563448}),
                       1e-6),
            "");
  EXPECT_EQ(
      difference(
          testing::run_reference("rotary", {{"interleaved", Dim(1)}}, {x, cos, sin})[0],
          tensor(DType::kFloat32, {2, 4},
                 {-0.09983341664682815, 0.9950041652780258, 1.3641251632972997, 3.3375383951138478,
                  2.343744923195726, 5.958763272273388, 2.800437567856757, 8.783937011872098}),
          1e-6),
      "");
}

TEST(Rotary, RulesAndDecomposition) {
  const Dim b = Dim::symbol("b");
  const Dim s = Dim::symbol("s");
  const std::vector<std::vector<int64_t>> shapes = {{3, 2}, {1, 1, 3, 2}, {5, 1, 3, 2}, {1, 2}};
  const std::vector<Shape> symbolic = {{s, 2}, {1, 1, s, 2}, {b, 1, s, 2}, {1, 2}};
  for (size_t i = 0; i < shapes.size(); ++i) {
    for (const int64_t interleaved : {0, 1}) {
      testing::RuleCase c{"rotary",
                          {{"interleaved", Dim(interleaved)}},
                          {random_integers(DType::kFloat32, {5, 2, 3, 4}, 1),
                           random_integers(DType::kFloat32, shapes[i], 2),
                           random_integers(DType::kFloat32, shapes[i], 3)}};
      const std::set<std::string> all = {"d0", "d1", "d2", "partial 0", "partial 1 2"};
      EXPECT_EQ(testing::check_rules(c), all);
      testing::check_decomposition(c);
      c.shapes = {{b, 2, s, 4}, symbolic[i], symbolic[i]};
      c.symbols = {{"b", 5}, {"s", 3}};
      EXPECT_EQ(testing::check_rules(c), all);
      testing::check_decomposition(c);
      for (auto& input : c.inputs) input = random_reals(DType::kFloat16, input->shape, 4);
      c.tolerance = 2e-3;
      testing::check_decomposition(c);
    }
  }
  testing::check_rules(
      {"rotary",
       {},
       {HostTensor(DType::kFloat32, {2, 0, 4}), HostTensor(DType::kFloat32, {0, 2}),
        HostTensor(DType::kFloat32, {0, 2})}});
}

TEST(Rotary, Errors) {
  EXPECT_EQ(inference_error("rotary", {}, {f32({3, 4}), f32({3, 2}), f32({3, 2})}), "");
  EXPECT_NE(inference_error("rotary", {}, {f32({3, 5}), f32({3, 2}), f32({3, 2})}), "");
  EXPECT_NE(inference_error("rotary", {}, {f32({3, 4}), f32({2, 2}), f32({3, 2})}), "");
  EXPECT_NE(inference_error("rotary", {}, {f32({3, 4}), f32({1, 3, 2}), f32({3, 2})}), "");
  EXPECT_NE(inference_error("rotary", {}, {f32({4}), f32({2}), f32({2})}), "");
  EXPECT_NE(inference_error("rotary", {}, {f32({3, 4}), f32({3, 2}), {DType::kFloat16, {3, 2}}}),
            "");
}

}  // namespace
}  // namespace cleave::ops
