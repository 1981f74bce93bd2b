#include <gtest/gtest.h>

#include <cmath>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::integers_of;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using Indices = std::vector<int64_t>;

Attributes axis(int64_t dim) { return {{"axis", Dim(dim)}}; }

TEST(ArgExtreme, FirstOfEquals) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 5, 5, -2, 4, -2});
  EXPECT_EQ(integers_of(run_reference("arg_max", axis(1), {x})[0]), (Indices{1, 1}));
  EXPECT_EQ(integers_of(run_reference("arg_min", axis(1), {x})[0]), (Indices{0, 0}));
  EXPECT_EQ(integers_of(run_reference("arg_max", axis(0), {x})[0]), (Indices{0, 0, 0}));
  EXPECT_EQ(integers_of(run_reference("arg_min", axis(0), {x})[0]), (Indices{1, 1, 1}));
}

TEST(ArgExtreme, NanIsTheExtreme) {
  const HostTensor x = tensor(DType::kFloat16, {4}, {1, NAN, 7, NAN});
  EXPECT_EQ(integers_of(run_reference("arg_max", axis(0), {x})[0]), Indices{1});
  EXPECT_EQ(integers_of(run_reference("arg_min", axis(0), {x})[0]), Indices{1});
}

TEST(ArgExtreme, LargeIntegersKeepTheirBits) {
  HostTensor x(DType::kInt64, {2});
  x.set_integer(0, int64_t{1} << 53);
  x.set_integer(1, (int64_t{1} << 53) + 1);
  EXPECT_EQ(integers_of(run_reference("arg_max", axis(0), {x})[0]), Indices{1});
}

TEST(ArgExtreme, Rules) {
  const Dim n = Dim::symbol("n");
  for (const char* op : {"arg_max", "arg_min"}) {
    testing::RuleCase c{op, axis(1), {random_integers(DType::kFloat32, {5, 6, 3}, 1)}};
    EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d2"}));
    c.shapes = {{n, n + 1, 3}};
    c.symbols = {{"n", 5}};
    EXPECT_EQ(testing::check_rules(c), (std::set<std::string>{"d0", "d2"}));
    testing::check_rules({op, axis(1), {HostTensor(DType::kInt32, {0, 3})}});
  }
}

TEST(ArgExtreme, Errors) {
  EXPECT_EQ(inference_error("arg_max", axis(1), {{DType::kFloat32, {2, 0}}}),
            "arg_max has nothing to choose from along axis 1 of f32[2, 0]");
  EXPECT_NE(inference_error("arg_min", axis(2), {{DType::kFloat32, {2, 2}}}), "");
}

}  // namespace
}  // namespace cleave::ops
