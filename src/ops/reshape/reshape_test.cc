#include <gtest/gtest.h>

#include "ops/reshape/factorise.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::check_rules;
using testing::inference_error;
using testing::random_integers;
using testing::RuleCase;
using Names = std::set<std::string>;

const Dim b = Dim::symbol("b");
const Dim s = Dim::symbol("s");

std::string rule_text(const Shape& from, const Shape& to) { return factorise(from, to).text(); }

TEST(Factorise, MergesAndSplits) {
  EXPECT_EQ(rule_text({b, s, 768}, {b * s, 768}), "f0 f1 f2 -> f0.f1 f2");
  EXPECT_EQ(rule_text({b * s, 768}, {b, s, 12, 64}), "f0.f1 f2.f3 -> f0 f1 f2 f3");
  EXPECT_EQ(rule_text({b, s, 3 * 768}, {b, s, 3, 768}), "f0 f1 f2.f3 -> f0 f1 f2 f3");
  EXPECT_EQ(rule_text({b, 12, s, 64}, {b * 12, s, 64}), "f0 f1 f2 f3 -> f0.f1 f2 f3");
}

TEST(Factorise, RegroupsAcrossBorders) {
  // 4 · 6 = 8 · 3 share 4, 2 and 3.
  EXPECT_EQ(rule_text({4, 6}, {8, 3}), "f0 f1.f2 -> f0.f1 f2");
  EXPECT_EQ(rule_text({b * 2, 3}, {b, 6}), "f0.f1 f2 -> f0 f1.f2");
}

TEST(Factorise, WhatIsNotSharedIsWhole) {
  EXPECT_EQ(rule_text({2, 3}, {3, 2}), "f0 f1 -> f2 f3; whole f0; whole f1; whole f2; whole f3");
  EXPECT_EQ(rule_text({4, 9}, {6, 6}),
            "f0.f1 f2 -> f0.f3 f4; whole f1; whole f2; whole f3; whole f4");
  // The last dimension is the same though nothing is known of the others.
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(rule_text({b, s, 64}, {n, 64}), "f1 f2 f0 -> f3 f0; whole f1; whole f2; whole f3");
}

TEST(Factorise, DimensionsOfOneAreFactorsOfWhatIsBehindThem) {
  EXPECT_EQ(rule_text({1, b, 1, 8}, {b, 8, 1}), "f2 f0 f3 f1 -> f2.f0 f3.f1 1");
  EXPECT_EQ(rule_text({b, 1, 1, 8}, {b, 1, 8}), "f0 f3 f2 f1 -> f0 f2 f3.f1");
  EXPECT_EQ(rule_text({b, 24}, {b, 8, 1, 3}), "f0 f1.f2 -> f0 f1 1 f2");
  EXPECT_EQ(rule_text({1, 1}, {}), "1 1 -> ");
  EXPECT_EQ(rule_text({0, 3}, {3, 0}), "1 1 -> 1 1");
}

Names check(std::vector<int64_t> from, const Shape& to, std::vector<Shape> symbolic = {},
            SymbolValues symbols = {}) {
  RuleCase c{"reshape", {{"shape", to}}, {random_integers(DType::kFloat32, from, 3)},
             0,         symbolic,        symbols};
  return check_rules(c);
}

const Names kPartial{"partial 0", "partial 0:max", "partial 0:min", "partial 0:prod"};
Names with(Names names) {
  names.insert(kPartial.begin(), kPartial.end());
  return names;
}

TEST(Reshape, Rules) {
  EXPECT_EQ(check({2, 3, 8}, {6, 8}), with({"f0", "f1", "f2"}));
  EXPECT_EQ(check({2, 3, 15}, {2, 3, 5, 3}), with({"f0", "f1", "f2", "f3"}));
  EXPECT_EQ(check({4, 6}, {8, 3}), with({"f0", "f1", "f2"}));
  // Query, key and value of one matrix: by part, by head and by element of a head.
  EXPECT_EQ(check({2, 24}, {2, 3, 4, 2}), with({"f0", "f1", "f2"}));
  EXPECT_EQ(check({5, 2, 6}, {10, 1, 6}), with({"f0", "f1", "f2", "f3"}));
  EXPECT_EQ(check({4, 9}, {6, 6}), with({"f0"}));
  EXPECT_EQ(check({2, 3}, {3, 2}), with({}));
  EXPECT_EQ(check({0, 3}, {3, 0}), with({}));
  EXPECT_EQ(check({0, 3}, {0, 3, 1}), with({}));
  EXPECT_EQ(check({}, {1}), with({}));
}

TEST(Reshape, RulesWithSymbols) {
  EXPECT_EQ(check({2, 5, 12}, {b * s, 3, 4}, {{b, s, 12}}, {{"b", 2}, {"s", 5}}),
            with({"f0", "f2", "f3"}));
  EXPECT_EQ(check({10, 12}, {b, s, 12}, {{b * s, 12}}, {{"b", 2}, {"s", 5}}), with({"f0", "f2"}));
}

TEST(Reshape, Errors) {
  EXPECT_EQ(inference_error("reshape", {{"shape", Shape{4}}}, {{DType::kFloat32, {2, 3}}}),
            "the elements of a reshape from [2, 3] to [4]: 6 and 4 are not equal");
  EXPECT_EQ(inference_error("reshape", {{"shape", Shape{-2, -3}}}, {{DType::kFloat32, {2, 3}}}),
            "an extent of reshape is negative: -2");
  std::vector<SizeGuard> guards;
  testing::infer("reshape", {{"shape", Shape{s}}}, {{DType::kFloat32, {b, 3}}}, &guards);
  ASSERT_EQ(guards.size(), 1u);
  EXPECT_EQ(guards[0].a, b * 3);
}

}  // namespace
}  // namespace cleave::ops
