#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::integers_of;
using testing::run_reference;
using testing::tensor;

TEST(Cast, ConvertsAsOnnxDoes) {
  const HostTensor x = tensor(DType::kFloat32, {4}, {-1.9, 0, 2.5, 300});
  const auto to = [&](DType dtype) {
    return integers_of(run_reference("cast", {{"to", dtype}}, {x})[0]);
  };
  EXPECT_EQ(to(DType::kInt32), (std::vector<int64_t>{-1, 0, 2, 300}));
  EXPECT_EQ(to(DType::kInt8), (std::vector<int64_t>{-1, 0, 2, 127}));
  EXPECT_EQ(to(DType::kBool), (std::vector<int64_t>{1, 0, 1, 1}));
}

TEST(Cast, Rules) {
  const Dim n = Dim::symbol("n");
  testing::RuleCase c{"cast",
                      {{"to", DType::kFloat16}},
                      {testing::random_reals(DType::kFloat32, {5, 3}, 1)},
                      0,
                      {{n, 3}},
                      {{"n", 5}}};
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d1"}));
  EXPECT_THROW(testing::infer("cast", {}, {{DType::kFloat32, {2}}}), Error);
}

}  // namespace
}  // namespace cleave::ops
