#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_integers;
using testing::tensor;

TEST(Where, Chooses) {
  const HostTensor y = testing::run_reference(
      "where", {},
      {tensor(DType::kBool, {3}, {1, 0, 1}), tensor(DType::kInt64, {3}, {1, 2, 3}),
       tensor(DType::kInt64, {3}, {4, 5, 6})})[0];
  EXPECT_EQ(testing::integers_of(y), (std::vector<int64_t>{1, 5, 3}));
}

TEST(Where, Rules) {
  const Dim n = Dim::symbol("n");
  testing::RuleCase c{
      "where",
      {},
      {random_integers(DType::kBool, {5, 3}, 1), random_integers(DType::kFloat32, {5, 3}, 2),
       random_integers(DType::kFloat32, {5, 3}, 3)},
      0,
      {{n, 3}, {n, 3}, {n, 3}},
      {{"n", 5}}};
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1", "partial 1 2"}));
  for (auto& input : c.inputs) input = HostTensor(input->dtype, {0, 3});
  c.symbols["n"] = 0;
  testing::check_rules(c);
}

TEST(Where, Errors) {
  const TensorType f32{DType::kFloat32, {2}};
  const TensorType condition{DType::kBool, {2}};
  EXPECT_EQ(inference_error("where", {}, {f32, f32, f32}),
            "the condition has elements of type f32");
  EXPECT_NE(inference_error("where", {}, {condition, f32, {DType::kInt32, {2}}}), "");
  EXPECT_NE(inference_error("where", {}, {condition, f32, {DType::kFloat32, {3}}}), "");
  EXPECT_NE(inference_error("where", {}, {{DType::kBool, {2, 1}}, f32, f32}), "");
}

}  // namespace
}  // namespace cleave::ops
