#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;

Attributes axes(Shape dims) { return {{"axes", std::move(dims)}}; }

TEST(Reduce, HandValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, -2, 3, 4, 5, -6});
  const auto reduce = [&](const char* op, Shape dims) {
    return values_of(run_reference(op, axes(std::move(dims)), {x})[0]);
  };
  EXPECT_EQ(reduce("reduce_sum", {1}), (std::vector<double>{2, 3}));
  EXPECT_EQ(reduce("reduce_sum", {0}), (std::vector<double>{5, 3, -3}));
  EXPECT_EQ(reduce("reduce_sum", {1, 0}), (std::vector<double>{5}));
  EXPECT_EQ(reduce("reduce_sum", {}), (std::vector<double>{1, -2, 3, 4, 5, -6}));
  EXPECT_EQ(reduce("reduce_max", {1}), (std::vector<double>{3, 5}));
  EXPECT_EQ(reduce("reduce_min", {0}), (std::vector<double>{1, -2, -6}));
  EXPECT_EQ(reduce("reduce_prod", {1}), (std::vector<double>{-6, -120}));
}

TEST(Reduce, MiddleAxis) {
  std::vector<double> values(24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const HostTensor x = tensor(DType::kInt32, {2, 3, 4}, values);
  EXPECT_EQ(values_of(run_reference("reduce_sum", axes({1}), {x})[0]),
            (std::vector<double>{12, 15, 18, 21, 48, 51, 54, 57}));
  EXPECT_EQ(values_of(run_reference("reduce_sum", axes({0, 2}), {x})[0]),
            (std::vector<double>{60, 92, 124}));
}

TEST(Reduce, NothingGivesTheIdentity) {
  const HostTensor x(DType::kFloat32, {2, 0});
  const double infinity = std::numeric_limits<double>::infinity();
  const auto first = [&](const char* op) { return run_reference(op, axes({1}), {x})[0].get(1); };
  EXPECT_EQ(first("reduce_sum"), 0);
  EXPECT_EQ(first("reduce_prod"), 1);
  EXPECT_EQ(first("reduce_max"), -infinity);
  EXPECT_EQ(first("reduce_min"), infinity);
  const HostTensor i(DType::kInt32, {0});
  EXPECT_EQ(run_reference("reduce_max", axes({0}), {i})[0].get_integer(0), INT32_MIN);
}

TEST(Reduce, NanWins) {
  const HostTensor x = tensor(DType::kFloat32, {2, 2}, {1, NAN, NAN, 1});
  for (const char* op : {"reduce_max", "reduce_min", "reduce_sum"}) {
    const HostTensor y = run_reference(op, axes({1}), {x})[0];
    EXPECT_TRUE(std::isnan(y.get(0)) && std::isnan(y.get(1))) << op;
  }
}

TEST(Reduce, HalfTypesRoundOnceAndBooleansAreLogic) {
  const HostTensor x = tensor(DType::kBFloat16, {3}, {256, 1, 1});
  EXPECT_EQ(run_reference("reduce_sum", axes({0}), {x})[0].get(0), 258);
  const HostTensor b = tensor(DType::kBool, {2, 2}, {0, 1, 0, 0});
  EXPECT_EQ(values_of(run_reference("reduce_max", axes({1}), {b})[0]), (std::vector<double>{1, 0}));
  EXPECT_EQ(values_of(run_reference("reduce_min", axes({0}), {b})[0]), (std::vector<double>{0, 0}));
}

TEST(Reduce, Rules) {
  const Dim n = Dim::symbol("n");
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod"}) {
    std::string linear = "partial 0";
    if (op != std::string("reduce_sum")) linear += ":" + std::string(op).substr(7);
    for (const DType type : {DType::kFloat32, DType::kInt32, DType::kFloat16}) {
      testing::RuleCase c{op, axes({1, 3}), {random_integers(type, {5, 3, 4, 2}, 3, -2, 2)}};
      const std::set<std::string> all = {"d0", "r1", "d2", "r3", linear};
      EXPECT_EQ(testing::check_rules(c), all);
      c.shapes = {{n, 3, 4, 2}};
      c.symbols = {{"n", 5}};
      EXPECT_EQ(testing::check_rules(c), all);
      c.attributes = axes({0});
      EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"r0", "d1", "d2", "d3", linear}));
    }
    testing::check_rules({op, axes({0}), {HostTensor(DType::kFloat32, {0, 3})}});
    testing::check_rules({op, axes({1}), {HostTensor(DType::kFloat32, {0, 3})}});
  }
}

TEST(Reduce, Errors) {
  const TensorType x{DType::kFloat32, {2, 3}};
  EXPECT_EQ(inference_error("reduce_sum", axes({2}), {x}), "reduce_sum has no axis 2 in f32[2, 3]");
  EXPECT_EQ(inference_error("reduce_sum", axes({-1}), {x}),
            "reduce_sum has no axis -1 in f32[2, 3]");
  EXPECT_EQ(inference_error("reduce_max", axes({1, 1}), {x}), "reduce_max names axis 1 twice");
  EXPECT_EQ(inference_error("reduce_sum", axes({0}), {{DType::kBool, {2}}}),
            "reduce_sum has no meaning for booleans");
  EXPECT_NE(inference_error("reduce_sum", axes({Dim::symbol("n")}), {x}), "");
}

}  // namespace
}  // namespace cleave::ops
