#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::run_reference;

Attributes values(Shape dims, DType to = DType::kInt64) {
  return {{"values", std::move(dims)}, {"to", to}};
}

TEST(ShapeValues, GivesSizes) {
  const HostTensor y = run_reference("shape_values", values({2, int64_t{1} << 60}), {})[0];
  EXPECT_EQ(testing::integers_of(y), (std::vector<int64_t>{2, int64_t{1} << 60}));
  Attributes one = values({7}, DType::kFloat32);
  one.set("scalar", Dim(1));
  const HostTensor scalar = run_reference("shape_values", one, {})[0];
  EXPECT_TRUE(scalar.shape.empty());
  EXPECT_EQ(scalar.get(0), 7);
  EXPECT_EQ(run_reference("shape_values", values({}), {})[0].elements(), 0);
}

TEST(ShapeValues, IsWholeOnEveryRank) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(testing::check_rules(
                {"shape_values", values({n, n * 2 + 1}, DType::kInt32), {}, 0, {}, {{"n", 5}}}),
            std::set<std::string>{});
}

TEST(ShapeValues, Errors) {
  Attributes two = values({1, 2});
  two.set("scalar", Dim(1));
  EXPECT_EQ(inference_error("shape_values", two, {}),
            "shape_values makes a scalar of one value, not of 2");
  EXPECT_NE(inference_error("shape_values", values({1}, DType::kBool), {}), "");
}

}  // namespace
}  // namespace cleave::ops
