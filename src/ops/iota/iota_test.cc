#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::run_reference;

Attributes iota(Shape shape, int64_t axis, DType to = DType::kInt64) {
  return {{"shape", std::move(shape)}, {"axis", Dim(axis)}, {"to", to}};
}

TEST(Iota, CountsAlongTheAxis) {
  EXPECT_EQ(testing::integers_of(run_reference("iota", iota({2, 3}, 1), {})[0]),
            (std::vector<int64_t>{0, 1, 2, 0, 1, 2}));
  Attributes attributes = iota({2, 3}, 0, DType::kFloat32);
  attributes.set("offset", Dim(5));
  EXPECT_EQ(testing::values_of(run_reference("iota", attributes, {})[0]),
            (std::vector<double>{5, 5, 5, 6, 6, 6}));
}

TEST(Iota, Rules) {
  const Dim n = Dim::symbol("n");
  const std::set<std::string> all = {"d0", "d1"};
  for (const int64_t axis : {0, 1}) {
    testing::RuleCase c{"iota", iota({5, 3}, axis)};
    EXPECT_EQ(testing::check_rules(c), all);
    c.attributes = iota({n, n - 2}, axis, DType::kFloat32);
    c.attributes.set("offset", n * 2);
    c.symbols = {{"n", 5}};
    EXPECT_EQ(testing::check_rules(c), all);
    c.attributes = iota({n, n}, axis);
    c.symbols = {{"n", 0}};
    testing::check_rules(c);
  }
}

TEST(Iota, Errors) {
  EXPECT_NE(inference_error("iota", iota({2}, 1), {}), "");
  EXPECT_EQ(inference_error("iota", iota({2}, 0, DType::kInt8), {}),
            "iota makes i64 or f32, not i8");
  EXPECT_NE(inference_error("iota", iota({2}, 0), {{DType::kFloat32, {2}}}), "");
}

}  // namespace
}  // namespace cleave::ops
