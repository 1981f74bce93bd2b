#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops_support/decomposition_check.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::difference;
using testing::inference_error;
using testing::random_reals;
using testing::run_reference;
using testing::tensor;

Attributes axis(int64_t dim) { return {{"axis", Dim(dim)}}; }

TEST(Softmax, KnownValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 4, 0, -1, 3});
  EXPECT_EQ(difference(run_reference("softmax", axis(1), {x})[0],
                       tensor(DType::kFloat32, {2, 3},
                              {0.04201006613406605, 0.11419519938459449, 0.8437947344813395,
                               0.0466126225779739, 0.01714782554552039, 0.9362395518765058}),
                       1e-7),
            "");
  EXPECT_EQ(difference(run_reference("softmax", axis(0), {x})[0],
                       tensor(DType::kFloat32, {2, 3},
                              {0.7310585786300049, 0.9525741268224334, 0.7310585786300049,
                               0.2689414213699951, 0.04742587317756679, 0.2689414213699951}),
                       1e-7),
            "");
}

TEST(Softmax, LargeAndInfiniteScores) {
  const double infinity = std::numeric_limits<double>::infinity();
  const HostTensor x = tensor(DType::kFloat16, {2, 2}, {60000, 60000, -infinity, 1});
  EXPECT_EQ(testing::values_of(run_reference("softmax", axis(1), {x})[0]),
            (std::vector<double>{0.5, 0.5, 0, 1}));
  const HostTensor none = tensor(DType::kFloat32, {2}, {-infinity, -infinity});
  EXPECT_TRUE(std::isnan(run_reference("softmax", axis(0), {none})[0].get(0)));
}

TEST(Softmax, Rules) {
  const Dim n = Dim::symbol("n");
  testing::RuleCase c{"softmax", axis(1), {random_reals(DType::kFloat32, {5, 3, 4}, 1)}};
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d2"}));
  c.shapes = {{n, 3, n - 1}};
  c.symbols = {{"n", 5}};
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d2"}));
  testing::check_rules({"softmax", axis(1), {HostTensor(DType::kFloat32, {0, 3})}});
  testing::check_rules({"softmax", axis(1), {HostTensor(DType::kFloat32, {3, 0})}});
}

TEST(Softmax, Decomposes) {
  testing::RuleCase c{
      "softmax", axis(1), {random_reals(DType::kFloat32, {5, 3, 4}, 1, -20, 20)}, 1e-6};
  EXPECT_FALSE(testing::check_decomposition(c).contains("cast"));
  c.shapes = {{Dim::symbol("n"), 3, 4}};
  c.symbols = {{"n", 5}};
  testing::check_decomposition(c);
  c.inputs = {random_reals(DType::kFloat16, {5, 3, 4}, 1, -9, 9)};
  c.tolerance = 1e-3;
  EXPECT_EQ(testing::check_decomposition(c).count("cast"), 2u);
  c.inputs = {random_reals(DType::kFloat64, {5, 3, 4}, 1, -9, 9)};
  c.tolerance = 1e-14;
  EXPECT_FALSE(testing::check_decomposition(c).contains("cast"));
  testing::check_decomposition({"softmax", axis(0), {HostTensor(DType::kFloat32, {0})}});
}

TEST(Softmax, Errors) {
  EXPECT_EQ(inference_error("softmax", axis(0), {{DType::kInt32, {2}}}),
            "the operand of softmax is i32, but must be floating point");
  EXPECT_NE(inference_error("softmax", axis(1), {{DType::kFloat32, {2}}}), "");
}

}  // namespace
}  // namespace cleave::ops
