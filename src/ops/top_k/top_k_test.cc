#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"
#include "tests/support/kernel_harness.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::integers_of;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Values = std::vector<double>;
using Indices = std::vector<int64_t>;

Attributes of(int64_t axis, const Dim& k, bool largest = true) {
  return {{"axis", Dim(axis)}, {"k", k}, {"largest", Dim(largest)}};
}

TEST(TopK, InOrderAndOfEqualsTheFirst) {
  const HostTensor x = tensor(DType::kFloat32, {2, 4}, {1, 5, 5, -2, 0, 3, 3, 3});
  const auto top = run_reference("top_k", of(1, 2), {x});
  EXPECT_EQ(top[0].shape, (Indices{2, 2}));
  EXPECT_EQ(values_of(top[0]), (Values{5, 5, 3, 3}));
  EXPECT_EQ(integers_of(top[1]), (Indices{1, 2, 1, 2}));
  const auto low = run_reference("top_k", of(1, 3, false), {x});
  EXPECT_EQ(values_of(low[0]), (Values{-2, 1, 5, 0, 3, 3}));
  EXPECT_EQ(integers_of(low[1]), (Indices{3, 0, 1, 0, 1, 2}));
  EXPECT_EQ(integers_of(run_reference("top_k", of(0, 1), {x})[1]), (Indices{0, 0, 0, 1}));
  EXPECT_EQ(run_reference("top_k", of(0, 0), {x})[0].shape, (Indices{0, 4}));
}

TEST(TopK, NanIsTheLargest) {
  const HostTensor x = tensor(DType::kFloat16, {4}, {1, NAN, INFINITY, NAN});
  EXPECT_EQ(integers_of(run_reference("top_k", of(0, 4), {x})[1]), (Indices{1, 3, 2, 0}));
  EXPECT_EQ(integers_of(run_reference("top_k", of(0, 4, false), {x})[1]), (Indices{0, 2, 1, 3}));
}

TEST(TopK, Rules) {
  const Dim n = Dim::symbol("n");
  testing::RuleCase c{"top_k", of(1, 3), {random_integers(DType::kFloat32, {5, 6, 3}, 1)}};
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d2"}));
  c.shapes = {{n, n + 1, 3}};
  c.symbols = {{"n", 5}};
  c.attributes = of(1, n);
  EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d2"}));
}

TEST(TopK, Errors) {
  const TensorType x{DType::kFloat32, {2, 3}};
  EXPECT_EQ(inference_error("top_k", of(1, 4), {x}), "top_k takes 4 of 3 elements");
  EXPECT_EQ(inference_error("top_k", of(1, -1), {x}), "the k of top_k is negative: -1");
  EXPECT_NE(inference_error("top_k", of(2, 1), {x}), "");
}

TEST(TopK, KernelsEqualTheReference) {
  for (DType type :
       {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kUInt8}) {
    // Many equals.
    HostTensor x = random_integers(type, {40, 50, 30}, 1, 0, 9);
    if (is_floating(type)) x.set(1000, NAN);
    for (int64_t axis : {0, 1, 2}) {
      for (int64_t k : {1, 3, 29}) {
        for (bool largest : {true, false}) {
          std::vector<int64_t> shape = x.shape;
          shape[static_cast<size_t>(axis)] = k;
          backend::check_case(
              {.op = "top_k",
               .attributes = of(axis, k, largest),
               .inputs = {&x},
               .outputs = {HostTensor(type, shape), HostTensor(DType::kInt64, shape)}});
        }
      }
    }
  }
}

class TopKOfType : public ::testing::TestWithParam<DType> {};

// Lines that are selected from in parts, and lines that are sorted whole.
TEST_P(TopKOfType, LongLines) {
  const DType type = GetParam();
  const auto check = [](const HostTensor& x, int64_t k, bool largest) {
    std::vector<int64_t> shape = x.shape;
    shape[1] = k;
    backend::check_case(
        {.op = "top_k",
         .attributes = of(1, k, largest),
         .inputs = {&x},
         .outputs = {HostTensor(x.dtype, shape), HostTensor(DType::kInt64, shape)}});
  };
  for (const Indices& shape : {Indices{1, 40000, 1}, Indices{2, 8193, 3}, Indices{5, 5000, 1}}) {
    HostTensor few = random_integers(type, shape, 1, 0, 9);  // many equals
    HostTensor many = random_integers(type, shape, 2, -120, 120);
    if (is_floating(type)) {
      many = backend::random_tensor(type, shape, 2);
      for (int64_t at : {3, 1000, 4999}) many.set(at, NAN);
    }
    for (int64_t k :
         {int64_t{1}, int64_t{50}, int64_t{700}, int64_t{2048}, int64_t{2049}, shape[1]}) {
      check(many, k, true);
      check(few, k, false);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TopKOfType,
                         ::testing::Values(DType::kFloat32, DType::kFloat16, DType::kBFloat16,
                                           DType::kFloat64, DType::kInt64, DType::kInt8),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace cleave::ops
