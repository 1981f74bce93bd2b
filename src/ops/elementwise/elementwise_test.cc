#include "ops/elementwise/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::check_rules;
using testing::inference_error;
using testing::integers_of;
using testing::random_integers;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Names = std::set<std::string>;

std::vector<double> apply(std::string_view op, const std::vector<double>& a) {
  const auto n = static_cast<int64_t>(a.size());
  return values_of(run_reference(op, {}, {tensor(DType::kFloat64, {n}, a)})[0]);
}

std::vector<double> apply(std::string_view op, DType dtype, const std::vector<double>& a,
                          const std::vector<double>& b) {
  const auto n = static_cast<int64_t>(a.size());
  return values_of(run_reference(op, {}, {tensor(dtype, {n}, a), tensor(dtype, {n}, b)})[0]);
}

TEST(Elementwise, OneOperand) {
  EXPECT_EQ(apply("neg", {1, -2}), (std::vector<double>{-1, 2}));
  EXPECT_EQ(apply("sqrt", {4, 9}), (std::vector<double>{2, 3}));
  EXPECT_EQ(apply("rsqrt", {4}), (std::vector<double>{0.5}));
  EXPECT_EQ(apply("round", {0.5, 1.5, -2.5}), (std::vector<double>{0, 2, -2}));
  EXPECT_EQ(apply("sign", {-3, 0, 7}), (std::vector<double>{-1, 0, 1}));
  EXPECT_EQ(apply("is_nan", {NAN, 1}), (std::vector<double>{1, 0}));
  EXPECT_TRUE(std::isnan(apply("relu", {NAN})[0]));
  EXPECT_NEAR(apply("gelu", {1})[0], 0.8413447460685429, 1e-15);
  EXPECT_NEAR(apply("gelu_tanh", {1})[0], 0.8411919906082768, 1e-15);
  EXPECT_NEAR(apply("silu", {1})[0], 0.7310585786300049, 1e-15);
  EXPECT_EQ(apply("hard_swish", {-4, -3, 0, 3, 4}), (std::vector<double>{-0.0, -0.0, 0, 3, 4}));
  EXPECT_NEAR(apply("hard_swish", {-1})[0], -1.0 / 3, 1e-15);
  EXPECT_TRUE(std::isnan(apply("hard_swish", {NAN})[0]));
  EXPECT_NEAR(apply("softplus", {0})[0], std::log(2.0), 1e-15);
  EXPECT_EQ(apply("softplus", {1000})[0], 1000);
  EXPECT_EQ(apply("sigmoid", {-1000, 1000}), (std::vector<double>{0, 1}));
}

TEST(Elementwise, Trigonometry) {
  const std::pair<const char*, double> rows[] = {{"tan", std::tan(0.5)},
                                                 {"asin", M_PI / 6},
                                                 {"acos", M_PI / 3},
                                                 {"atan", std::atan(0.5)},
                                                 {"sinh", std::sinh(0.5)},
                                                 {"cosh", std::cosh(0.5)},
                                                 {"asinh", std::log(0.5 + std::sqrt(1.25))},
                                                 {"atanh", std::log(3.0) / 2}};
  for (const auto& [op, y] : rows) EXPECT_NEAR(apply(op, {0.5})[0], y, 1e-15) << op;
  EXPECT_NEAR(apply("acosh", {1.25})[0], std::log(2.0), 1e-15);
  EXPECT_TRUE(std::isnan(apply("asin", {2})[0]));
}

TEST(Elementwise, Bits) {
  const auto bits = [&](const char* op, const std::vector<double>& a,
                        const std::vector<double>& b) { return apply(op, DType::kUInt8, a, b); };
  EXPECT_EQ(bits("bit_and", {12}, {10}), (std::vector<double>{8}));
  EXPECT_EQ(bits("bit_or", {12}, {10}), (std::vector<double>{14}));
  EXPECT_EQ(bits("bit_xor", {12}, {10}), (std::vector<double>{6}));
  EXPECT_EQ(bits("shift_left", {3, 255, 1}, {2, 1, 8}), (std::vector<double>{12, 254, 0}));
  EXPECT_EQ(bits("shift_right", {12, 255, 1}, {2, 7, 64}), (std::vector<double>{3, 1, 0}));
  EXPECT_EQ(apply("shift_right", DType::kInt32, {-8, 8, -8}, {1, -1, 99}),
            (std::vector<double>{-4, 0, -1}));
  const HostTensor x = tensor(DType::kInt8, {2}, {0, -6});
  EXPECT_EQ(values_of(run_reference("bit_not", {}, {x})[0]), (std::vector<double>{-1, 5}));
}

TEST(Elementwise, AlphaIsAnAttribute) {
  const HostTensor x = tensor(DType::kFloat64, {2}, {-2, 3});
  EXPECT_EQ(values_of(run_reference("leaky_relu", {{"alpha", 0.1}}, {x})[0]),
            (std::vector<double>{-0.2, 3}));
  EXPECT_EQ(values_of(run_reference("elu", {{"alpha", 2.0}}, {x})[0]),
            (std::vector<double>{2 * std::expm1(-2.0), 3}));
  EXPECT_EQ(values_of(run_reference("hard_sigmoid", {{"alpha", 0.25}}, {x})[0]),
            (std::vector<double>{0, 1}));
}

TEST(Elementwise, IntegersAreExactAndWrap) {
  HostTensor a(DType::kInt64, {3});
  HostTensor b(DType::kInt64, {3});
  const int64_t low = std::numeric_limits<int64_t>::min();
  const std::vector<int64_t> left{(int64_t{1} << 62) + 1, low, 7};
  const std::vector<int64_t> right{(int64_t{1} << 62) + 1, -1, 0};
  for (int64_t i = 0; i < 3; ++i) {
    a.set_integer(i, left[static_cast<size_t>(i)]);
    b.set_integer(i, right[static_cast<size_t>(i)]);
  }
  const auto result = [&](std::string_view op) {
    return integers_of(run_reference(op, {}, {a, b})[0]);
  };
  EXPECT_EQ(result("sub"), (std::vector<int64_t>{0, low + 1, 7}));
  EXPECT_EQ(result("add")[0], low + 2);
  EXPECT_EQ(result("mul")[0], low + 1);
  EXPECT_EQ(result("div"), (std::vector<int64_t>{1, low, 0}));
  EXPECT_EQ(result("mod"), (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(apply("div", DType::kInt32, {-7, 7}, {2, -2}), (std::vector<double>{-3, -3}));
  EXPECT_EQ(apply("mod", DType::kInt32, {-7, 7}, {3, -3}), (std::vector<double>{2, -2}));
  EXPECT_EQ(apply("mod", DType::kFloat32, {-7, 7}, {3, -3}), (std::vector<double>{-1, 1}));
  EXPECT_EQ(apply("pow", DType::kInt32, {2, -1, 3}, {10, -3, -1}),
            (std::vector<double>{1024, -1, 0}));
}

TEST(Elementwise, UnsignedIntegersUseTheirWholeRange) {
  HostTensor a(DType::kUInt64, {1});
  HostTensor b(DType::kUInt64, {1});
  a.data<uint64_t>()[0] = ~uint64_t{0};
  b.data<uint64_t>()[0] = 2;
  EXPECT_EQ(run_reference("div", {}, {a, b})[0].data<uint64_t>()[0], ~uint64_t{0} / 2);
  EXPECT_EQ(run_reference("max", {}, {a, b})[0].data<uint64_t>()[0], ~uint64_t{0});
  EXPECT_TRUE(run_reference("greater", {}, {a, b})[0].data<bool>()[0]);
}

TEST(Elementwise, MaxAndMinKeepNan) {
  EXPECT_TRUE(std::isnan(apply("max", DType::kFloat32, {NAN}, {1})[0]));
  EXPECT_TRUE(std::isnan(apply("min", DType::kFloat32, {1}, {NAN})[0]));
}

TEST(Elementwise, Errors) {
  const TensorType f32{DType::kFloat32, {2, 3}};
  EXPECT_EQ(inference_error("add", {}, {f32, {DType::kFloat32, {2, 4}}}),
            "dimension 1 of operands: 3 and 4 are not equal");
  EXPECT_EQ(inference_error("add", {}, {f32, {DType::kInt32, {2, 3}}}),
            "operands have different types: f32[2, 3] and i32[2, 3]");
  EXPECT_EQ(inference_error("exp", {}, {{DType::kInt32, {2}}}),
            "exp does not take elements of type i32");
  EXPECT_NE(inference_error("add", {}, {f32}), "");
}

TEST(Elementwise, UnprovenEqualityIsAGuard) {
  std::vector<SizeGuard> guards;
  const Dim a = Dim::symbol("a");
  const Dim b = Dim::symbol("b");
  const auto types =
      testing::infer("add", {}, {{DType::kFloat32, {a, 3}}, {DType::kFloat32, {b, 3}}}, &guards);
  ASSERT_EQ(guards.size(), 1u);
  EXPECT_EQ(guards[0].a, a);
  EXPECT_EQ(guards[0].b, b);
  EXPECT_THROW(testing::infer("add", {}, {{DType::kFloat32, {a}}, {DType::kFloat32, {a + 1}}}),
               Error);
}

// Every op of the table, in every type it takes, split every way.
TEST(Elementwise, Rules) {
  const Dim n = Dim::symbol("n");
  for (const ScalarOp& op : scalar_ops()) {
    for (DType dtype :
         {DType::kFloat32, DType::kFloat16, DType::kInt32, DType::kUInt8, DType::kBool}) {
      if (!op.takes(dtype)) continue;
      Attributes attributes;
      if (op.has_alpha) attributes.set("alpha", 0.5);
      const int64_t low = dtype == DType::kUInt8 ? 8 : -4;
      testing::RuleCase c{std::string(op.name), attributes, {}, 0, {{n, 3}}, {{"n", 5}}};
      c.inputs.emplace_back(random_integers(dtype, {5, 3}, 1, low, low + 8));
      if (op.arity == 2) {
        c.inputs.emplace_back(random_integers(dtype, {5, 3}, 2, 1, 4));
        c.shapes.push_back({n, 3});
      }
      Names expected{"d0", "d1"};
      if (op.name == "add" || op.name == "sub") expected.insert("partial 0 1");
      if (op.name == "neg" || op.name == "mul") expected.insert("partial 0");
      if (op.name == "mul") expected.insert("partial 1");
      if (op.name == "div" && is_floating(dtype)) expected.insert("partial 0");
      if (op.name == "max" || op.name == "min")
        expected.insert("partial 0 1:" + std::string(op.name));
      // Quotients of the terms round.
      if (op.name == "div") c.tolerance = 1e-2;
      EXPECT_EQ(check_rules(c), expected) << op.name << " of " << name_of(dtype);
    }
  }
}

TEST(Elementwise, NoElements) {
  for (const ScalarOp& op : scalar_ops()) {
    const DType dtype = op.takes(DType::kFloat32) ? DType::kFloat32
                        : op.takes(DType::kBool)  ? DType::kBool
                                                  : DType::kInt32;
    Attributes attributes;
    if (op.has_alpha) attributes.set("alpha", 0.5);
    testing::RuleCase c{std::string(op.name), attributes, {}};
    for (int i = 0; i < op.arity; ++i) c.inputs.emplace_back(HostTensor(dtype, {0, 3}));
    check_rules(c);
  }
}

TEST(RankZero, KeepsTheOperandOnRankZeroOnly) {
  const HostTensor x = tensor(DType::kFloat32, {2}, {3, 4});
  EXPECT_EQ(values_of(run_reference("rank_zero", {{"rank", Dim(0)}}, {x})[0]),
            (std::vector<double>{3, 4}));
  EXPECT_EQ(values_of(run_reference("rank_zero", {{"rank", Dim(1)}}, {x})[0]),
            (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace cleave::ops
