#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;

TEST(Gather, TakesAlongAnAxis) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor i = tensor(DType::kInt64, {2, 2}, {2, 0, -1, -3});
  const HostTensor y = run_reference("gather", {{"axis", Dim(1)}}, {x, i})[0];
  EXPECT_EQ(y.shape, (std::vector<int64_t>{2, 2, 2}));
  EXPECT_EQ(values_of(y), (std::vector<double>{3, 1, 3, 1, 6, 4, 6, 4}));
  const HostTensor scalar = tensor(DType::kInt32, {}, {1});
  EXPECT_EQ(values_of(run_reference("gather", {{"axis", Dim(0)}}, {x, scalar})[0]),
            (std::vector<double>{4, 5, 6}));
}

TEST(Gather, OutsideGivesZero) {
  const HostTensor x = tensor(DType::kFloat32, {2}, {7, 8});
  HostTensor i = tensor(DType::kInt64, {5}, {-5, 2, 3, -1, 0});
  const Attributes part = {{"axis", Dim(0)}, {"offset", Dim(2)}, {"total", Dim(4)}};
  EXPECT_EQ(values_of(run_reference("gather", part, {x, i})[0]),
            (std::vector<double>{0, 7, 8, 8, 0}));
  i.set_integer(0, INT64_MAX);
  i.set_integer(1, INT64_MIN);
  EXPECT_EQ(values_of(run_reference("gather", {{"axis", Dim(0)}}, {x, i})[0]),
            (std::vector<double>{0, 0, 0, 8, 7}));
}

TEST(Gather, Rules) {
  const Dim v = Dim::symbol("v");
  const Dim n = Dim::symbol("n");
  // Out of range on purpose: -9, 7 and 12.
  const HostTensor i = tensor(DType::kInt64, {5, 2}, {0, 6, -1, -7, 3, 2, 12, 7, -9, 5});
  testing::RuleCase c{
      "gather", {{"axis", Dim(1)}}, {random_integers(DType::kFloat32, {3, 7, 4}, 1), i}};
  const std::set<std::string> all = {"i0", "i1", "v", "d0", "d2", "partial 0"};
  EXPECT_EQ(testing::check_rules(c), all);
  c.shapes = {{3, v, 4}, {n, 2}};
  c.symbols = {{"v", 7}, {"n", 5}};
  EXPECT_EQ(testing::check_rules(c), all);
  c.inputs[0] = random_integers(DType::kInt32, {3, 7, 4}, 1);
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"i0", "i1", "d0", "d2", "partial 0"}));
  testing::check_rules({"gather", {{"axis", Dim(0)}}, {HostTensor(DType::kFloat16, {0, 4}), i}});
  testing::check_rules(
      {"gather",
       {{"axis", Dim(0)}},
       {random_integers(DType::kFloat32, {2, 4}, 1), HostTensor(DType::kInt64, {0})}});
}

// A split of what is split already: offsets add up.
TEST(Gather, RulesOfALocalOp) {
  const HostTensor i = tensor(DType::kInt64, {6}, {0, 10, 14, -5, 4, 3});
  const testing::RuleCase c{"gather",
                            {{"axis", Dim(0)}, {"offset", Dim(10)}, {"total", Dim(20)}},
                            {random_integers(DType::kFloat32, {7, 2}, 1, 1, 9), i}};
  EXPECT_TRUE(testing::check_rules(c).contains("v"));
}

TEST(Gather, SeveralSegmentsDoNotSplitTheAxis) {
  const Registry registry = Registry::builtin();
  const Attributes attributes = {{"axis", Dim(0)}};
  const std::vector<TensorType> inputs = {{DType::kFloat32, {8, 2}}, {DType::kInt64, {3}}};
  const layout::ShardingRule rule = registry.at("gather").rule({attributes, inputs});
  layout::Strategy strategy{layout::Strategy::Kind::kFactor, 1, layout::Cut::even(8), 0};
  ASSERT_EQ(rule.factors[1].name, "v");
  EXPECT_TRUE(layout::placements(rule, strategy));
  strategy.cut = layout::Cut::concat({layout::Cut::even(4), layout::Cut::even(4)});
  EXPECT_FALSE(layout::placements(rule, strategy));
}

TEST(Gather, Errors) {
  const TensorType x{DType::kFloat32, {2, 3}};
  const TensorType i{DType::kInt64, {2}};
  EXPECT_NE(inference_error("gather", {{"axis", Dim(2)}}, {x, i}), "");
  EXPECT_NE(inference_error("gather", {}, {x, i}), "");
  EXPECT_EQ(inference_error("gather", {{"axis", Dim(0)}}, {x, x}),
            "the indices of gather are f32, but must be i32 or i64");
}

}  // namespace
}  // namespace cleave::ops
