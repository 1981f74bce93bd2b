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
    const Attributes attributes = pooling(op, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0});
    return values_of(run_reference(op, attributes, {x})[0]);
  };
  EXPECT_EQ(values("max_pool"), (Values{5, 5, 8, 9}));
  EXPECT_EQ(values("max_pool_index"), (Values{4, 4, 7, 8}));
  EXPECT_EQ(values("average_pool"), (Values{2, 0, 6, 4}));
  EXPECT_NEAR(values("lp_pool")[0], std::sqrt(46.0), 1e-5);
  Attributes columns = pooling("max_pool_index", {3, 3}, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0});
  columns.set("column_major", Dim(1));
  EXPECT_EQ(values_of(run_reference("max_pool_index", columns, {x})[0]), (Values{4, 4, 5, 8}));
}

TEST(Pool, PaddingNeverWinsAndCountsWhereAsked) {
  const Values x = {-1, -2, -3, -4};
  const auto attributes = [](const std::string& op, bool counts) {
    return pooling(op, {4}, {3}, {2}, {1}, {1}, {1}, counts);
  };
  EXPECT_EQ(run("max_pool", attributes("max_pool", false), x), (Values{-1, -2}));
  EXPECT_EQ(run("average_pool", attributes("average_pool", false), x), (Values{-1.5, -3}));
  EXPECT_EQ(run("average_pool", attributes("average_pool", true), x), (Values{-1, -3}));
  // Of a window that reaches beyond the padding that counts, the rest does not.
  Attributes beyond = pooling("average_pool", {4}, {3}, {2}, {1}, {0}, {1}, false);
  EXPECT_EQ(run("average_pool", beyond, x), (Values{-2, -3.5}));
}

TEST(Pool, DilatedTapsAndWindowsThatSeeNothing) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(run("max_pool", pooling("max_pool", {5}, {2}, {1}, {3}, {0}, {0}), {5, 1, 2, 3, 4}),
            (Values{5, 4}));
  // The taps lie on both sides of the only element.
  const auto aside = [](const std::string& op) {
    return pooling(op, {1}, {2}, {3}, {2}, {1}, {1});
  };
  EXPECT_EQ(run("max_pool", aside("max_pool"), {7}), Values{-infinity});
  EXPECT_EQ(run("max_pool_index", aside("max_pool_index"), {7}), Values{0});
  EXPECT_EQ(run("average_pool", aside("average_pool"), {7}), Values{0});
  EXPECT_EQ(run("lp_pool", aside("lp_pool"), {7}), Values{0});
}

TEST(Pool, NanIsTheMaximumAndTheFirstOfEqualsCounts) {
  const Values x = {3, 3, NAN, NAN, 9};
  const Attributes three = pooling("max_pool", {5}, {3}, {2}, {1}, {0}, {0});
  EXPECT_TRUE(std::isnan(run("max_pool", three, x)[0]));
  EXPECT_EQ(run("max_pool_index", three, x), (Values{2, 2}));
  EXPECT_EQ(run("max_pool_index", pooling("max_pool", {5}, {2}, {4}, {1}, {0}, {0}), x), Values{0});
}

struct RuleSizes {
  std::vector<int64_t> x;
  Shape kernel, strides, dilations, low, high;
  std::set<std::string> image;  // the factors of the image
};

const RuleSizes kRuleSizes[] = {
    {{5, 3, 6, 4}, {2, 3}, {2, 1}, {1, 2}, {0, 2}, {1, 2}, {"y", "x"}},
    {{1, 2, 9, 8}, {3, 2}, {2, 2}, {1, 1}, {1, 0}, {1, 0}, {"y", "x"}},
    // As ceil mode has it: the last window reaches beyond the padding.
    {{2, 1, 8, 7}, {3, 3}, {2, 2}, {1, 1}, {0, 1}, {1, 2}, {"y", "x"}},
    // Windows that see more than the next rank has, and fewer windows than ranks.
    {{1, 1, 5, 3}, {5, 2}, {1, 2}, {1, 1}, {2, 0}, {4, 0}, {"y", "x"}},
    // Steps over elements that no window sees, and windows that see padding alone.
    {{1, 2, 13}, {2}, {5}, {1}, {4}, {3}, {"x"}},
    {{1, 2, 9}, {2}, {2}, {3}, {3}, {2}, {"x"}},
    {{1, 2, 6, 5, 4}, {2, 1, 3}, {2, 1, 1}, {1, 1, 1}, {1, 0, 1}, {0, 0, 1}, {"z", "y", "x"}},
    // Each window sees its own element alone.
    {{2, 2, 7, 4}, {1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, {"y", "x"}},
};

TEST(Pool, Rules) {
  for (const RuleSizes& r : kRuleSizes) {
    for (const std::string op : kOps) {
      for (const bool counts : {false, true}) {
        if (counts && op != "average_pool") continue;
        const Shape image(r.x.begin() + 2, r.x.end());
        testing::RuleCase c{
            op,
            pooling(op, image, r.kernel, r.strides, r.dilations, r.low, r.high, counts),
            {testing::random_integers(kF32, r.x, 1)},
            1e-6};
        std::set<std::string> names = {"n", "c"};
        names.insert(r.image.begin(), r.image.end());
        if (op == "max_pool") names.insert("partial 0:max");
        if (op == "average_pool") names.insert("partial 0");
        EXPECT_EQ(testing::check_rules(c), names);
        if (op != "max_pool_index") continue;
        c.attributes.set("column_major", Dim(1));
        EXPECT_EQ(testing::check_rules(c), names);
      }
    }
  }
}

TEST(Pool, RulesOfSymbolicSizes) {
  const Dim n = Dim::symbol("n");
  for (const std::string op : kOps) {
    const Attributes attributes =
        pooling(op, {n + 1, 4}, {2, 3}, {2, 1}, {1, 2}, {0, 2}, {1, 2}, true);
    const testing::RuleCase c{op,
                              attributes,
                              {testing::random_integers(kF32, {5, 3, 6, 4}, 1)},
                              1e-6,
                              {{n, n - 2, n + 1, 4}},
                              {{"n", 5}}};
    std::set<std::string> names = {"n", "c", "y", "x"};
    if (op == "max_pool") names.insert("partial 0:max");
    if (op == "average_pool") names.insert("partial 0");
    EXPECT_EQ(testing::check_rules(c), names);
  }
}

TEST(Pool, Errors) {
  for (const std::string op : kOps) {
    const Attributes one = pooling(op, {4}, {3}, {1}, {1}, {0}, {0});
    const auto error = [&](const char* name, const Shape& values) {
      Attributes other = one;
      other.set(name, values);
      return inference_error(op, other, {{kF32, {1, 1, 4}}});
    };
    EXPECT_EQ(inference_error(op, one, {{kF32, {2, 3}}}),
              op + " takes [n, c, image...], not f32[2, 3]");
    EXPECT_NE(inference_error(op, one, {{DType::kBool, {1, 1, 4}}}), "");
    EXPECT_EQ(inference_error(op, one, {{kF32, {1, 1, 2, 2}}}),
              op + " over 2 dimension(s) has 1 value(s) for 'strides'");
    EXPECT_EQ(inference_error(op, one, {{kF32, {1, 1, 2, 2, 2, 2}}}),
              op + " moves over 1 to 3 dimensions behind batch and channels, not 4");
    EXPECT_EQ(error("strides", {0}), "'strides' of " + op + " is [0]");
    EXPECT_EQ(error("dilations", {-1}), "'dilations' of " + op + " is [-1]");
    EXPECT_EQ(error("kernel", {0}), "'kernel' of " + op + " is [0]");
    EXPECT_EQ(error("outputs", {-1}), "'outputs' of " + op + " is negative: [-1]");
    EXPECT_EQ(error("outputs", {1, 1}), op + " over 1 dimension(s) has 2 value(s) for 'outputs'");
  }
  Attributes power = pooling("lp_pool", {4}, {3}, {1}, {1}, {0}, {0});
  power.set("p", Dim(0));
  EXPECT_EQ(inference_error("lp_pool", power, {{kF32, {1, 1, 4}}}), "lp_pool takes p >= 1, not 0");
  Attributes part = pooling("max_pool_index", {4}, {3}, {1}, {1}, {0}, {0});
  part.set("image", Shape{4, 4});
  part.set("begin", Shape{0});
  EXPECT_EQ(inference_error("max_pool_index", part, {{kF32, {1, 1, 4}}}),
            "max_pool_index needs image for each dimension of the image");
}

}  // namespace
}  // namespace cleave::ops
