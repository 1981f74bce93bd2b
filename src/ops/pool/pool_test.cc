#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/pool/testing.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::inference_error;
using testing::integers_of;
using testing::pooling;
using testing::run_reference;
using testing::tensor;
using testing::values_of;
using Values = std::vector<double>;

const DType kF32 = DType::kFloat32;
const char* const kOps[] = {"max_pool", "max_pool_index", "average_pool", "lp_pool"};

// Along one dimension.
Values run(const std::string& op, const Attributes& attributes, const Values& x) {
  const auto size = static_cast<int64_t>(x.size());
  return values_of(run_reference(op, attributes, {tensor(kF32, {1, 1, size}, x)})[0]);
}

TEST(Pool, KnownValues) {
  const HostTensor x = tensor(kF32, {1, 1, 3, 3}, {1, -2, 3, 4, 5, -6, 7, 8, 9});
  const auto values = [&](const std::string& op) {
    const Attributes attributes = pooling(op, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0});
    return values_of(run_reference(op, attributes, {x})[0]);
  };
  EXPECT_EQ(values("max_pool"), (Values{5, 5, 8, 9}));
  EXPECT_EQ(values("max_pool_index"), (Values{4, 4, 7, 8}));
  EXPECT_EQ(values("average_pool"), (Values{2, 0, 6, 4}));
  EXPECT_NEAR(values("lp_pool")[0], std::sqrt(46.0), 1e-5);
  Attributes columns = pooling("max_pool_index", {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0});
  columns.set("column_major", Dim(1));
  EXPECT_EQ(values_of(run_reference("max_pool_index", columns, {x})[0]), (Values{4, 4, 5, 8}));
}

TEST(Pool, PaddingNeverWinsAndCountsWhereAsked) {
  const Values x = {-1, -2, -3, -4};
  const auto attributes = [](const std::string& op, bool counts) {
    return pooling(op, {3}, {2}, {1}, {1}, {1}, counts);
  };
  EXPECT_EQ(run("max_pool", attributes("max_pool", false), x), (Values{-1, -2}));
  EXPECT_EQ(run("average_pool", attributes("average_pool", false), x), (Values{-1.5, -3}));
  EXPECT_EQ(run("average_pool", attributes("average_pool", true), x), (Values{-1, -3}));
  // Of a window that reaches beyond the padding that counts, the rest does not.
  Attributes beyond = pooling("average_pool", {3}, {2}, {1}, {0}, {1}, false);
  EXPECT_EQ(run("average_pool", beyond, x), (Values{-2, -3.5}));
}

TEST(Pool, DilatedTapsAndWindowsThatSeeNothing) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(run("max_pool", pooling("max_pool", {2}, {1}, {3}, {0}, {0}), {5, 1, 2, 3, 4}),
            (Values{5, 4}));
  // The taps lie on both sides of the only element.
  const auto aside = [](const std::string& op) { return pooling(op, {2}, {3}, {2}, {1}, {1}); };
  EXPECT_EQ(run("max_pool", aside("max_pool"), {7}), Values{-infinity});
  EXPECT_EQ(run("max_pool_index", aside("max_pool_index"), {7}), Values{0});
  EXPECT_EQ(run("average_pool", aside("average_pool"), {7}), Values{0});
  EXPECT_EQ(run("lp_pool", aside("lp_pool"), {7}), Values{0});
}

TEST(Pool, NanIsTheMaximumAndTheFirstOfEqualsCounts) {
  const Values x = {3, 3, NAN, NAN, 9};
  const Attributes three = pooling("max_pool", {3}, {2}, {1}, {0}, {0});
  EXPECT_TRUE(std::isnan(run("max_pool", three, x)[0]));
  EXPECT_EQ(run("max_pool_index", three, x), (Values{2, 2}));
  EXPECT_EQ(run("max_pool_index", pooling("max_pool", {2}, {4}, {1}, {0}, {0}), x), Values{0});
}

TEST(Pool, Rules) {
  const Dim n = Dim::symbol("n");
  for (const std::string op : kOps) {
    testing::RuleCase c{op,
                        pooling(op, {2, 3}, {2, 1}, {1, 2}, {0, 2}, {1, 2}, true),
                        {testing::random_integers(kF32, {5, 3, 6, 4}, 1)},
                        1e-6};
    std::set<std::string> names = {"n", "c"};
    if (op == "max_pool") names.insert("partial 0:max");
    if (op == "average_pool") names.insert("partial 0");
    EXPECT_EQ(testing::check_rules(c), names);
    c.shapes = {{n, n - 2, n + 1, 4}};
    c.symbols = {{"n", 5}};
    EXPECT_EQ(testing::check_rules(c), names);
  }
}

TEST(Pool, Errors) {
  for (const std::string op : kOps) {
    const Attributes one = pooling(op, {3}, {1}, {1}, {0}, {0});
    EXPECT_EQ(inference_error(op, one, {{kF32, {2, 3}}}),
              op + " takes [n, c, image...], not f32[2, 3]");
    EXPECT_NE(inference_error(op, one, {{kF32, {1, 1, 2}}}), "");
    EXPECT_NE(inference_error(op, one, {{DType::kBool, {1, 1, 4}}}), "");
  }
  Attributes power = pooling("lp_pool", {3}, {1}, {1}, {0}, {0});
  power.set("p", Dim(0));
  EXPECT_EQ(inference_error("lp_pool", power, {{kF32, {1, 1, 4}}}), "lp_pool takes p >= 1, not 0");
}

}  // namespace
}  // namespace cleave::ops
