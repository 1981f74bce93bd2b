#include <gtest/gtest.h>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"
#include "tests/support/kernel_harness.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Values = std::vector<double>;

Attributes along(int64_t axis, bool exclusive = false, bool reverse = false) {
  return {{"axis", Dim(axis)}, {"exclusive", Dim(exclusive)}, {"reverse", Dim(reverse)}};
}

TEST(CumSum, HandValues) {
  const HostTensor x = tensor(DType::kFloat32, {2, 3}, {1, 2, 3, 4, 5, 6});
  const auto sums = [&](const Attributes& attributes) {
    return values_of(run_reference("cumsum", attributes, {x})[0]);
  };
  EXPECT_EQ(sums({{"axis", Dim(0)}}), (Values{1, 2, 3, 5, 7, 9}));
  EXPECT_EQ(sums(along(1)), (Values{1, 3, 6, 4, 9, 15}));
  EXPECT_EQ(sums(along(1, true)), (Values{0, 1, 3, 0, 4, 9}));
  EXPECT_EQ(sums(along(1, false, true)), (Values{6, 5, 3, 15, 11, 6}));
  EXPECT_EQ(sums(along(1, true, true)), (Values{5, 3, 0, 11, 6, 0}));
}

TEST(CumSum, Rules) {
  const Dim n = Dim::symbol("n");
  for (const DType type : {DType::kFloat32, DType::kFloat16, DType::kInt32}) {
    testing::RuleCase c{"cumsum", along(1, true), {random_integers(type, {5, 6, 3}, 1)}};
    const std::set<std::string> all = {"d0", "d2", "partial 0"};
    EXPECT_EQ(testing::check_rules(c), all);
    c.shapes = {{n, n + 1, 3}};
    c.symbols = {{"n", 5}};
    EXPECT_EQ(testing::check_rules(c), all);
  }
  testing::check_rules({"cumsum", along(0), {HostTensor(DType::kFloat32, {0, 3})}});
}

TEST(CumSum, Errors) {
  EXPECT_NE(inference_error("cumsum", along(2), {{DType::kFloat32, {2, 2}}}), "");
  EXPECT_EQ(inference_error("cumsum", along(0), {{DType::kBool, {2}}}),
            "cumsum has no meaning for booleans");
}

TEST(CumSum, KernelsEqualTheReference) {
  for (DType type : {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64,
                     DType::kInt64, DType::kInt8}) {
    const HostTensor x = backend::random_tensor(type, {3, 150, 300}, 1);
    for (int64_t axis : {0, 1, 2}) {
      for (int flags = 0; flags < 4; ++flags) {
        backend::check_case({.op = "cumsum",
                             .attributes = along(axis, (flags & 1) != 0, (flags & 2) != 0),
                             .inputs = {&x},
                             .outputs = {HostTensor(type, x.shape)}});
      }
    }
  }
  const HostTensor nothing(DType::kFloat32, {3, 0});
  backend::check_case(
      {.op = "cumsum", .attributes = along(1), .inputs = {&nothing}, .outputs = {nothing}});
}

// Lines of several blocks.
TEST(CumSum, LongLines) {
  for (DType type : {DType::kFloat32, DType::kBFloat16, DType::kInt16}) {
    for (const auto& shape :
         std::vector<std::vector<int64_t>>{{1, 70000, 1}, {3, 20001, 1}, {2, 9000, 3}}) {
      const HostTensor x = backend::random_tensor(type, shape, 1);
      for (int flags = 0; flags < 4; ++flags) {
        const backend::KernelCase test{.op = "cumsum",
                                       .attributes = along(1, (flags & 1) != 0, (flags & 2) != 0),
                                       .inputs = {&x},
                                       .outputs = {HostTensor(type, shape)}};
        backend::check_case(test);
        EXPECT_EQ(backend::run_case(test)[0].bytes, backend::run_case(test)[0].bytes);
      }
    }
  }
}

}  // namespace
}  // namespace cleave::ops
