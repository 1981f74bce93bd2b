#include "layout/sharding_rule.h"

#include <gtest/gtest.h>

#include "base/check.h"

namespace cleave::layout {
namespace {

DimFactors along(std::initializer_list<uint32_t> factors) {
  DimFactors result;
  for (uint32_t factor : factors) result.push_back({.factor = factor});
  return result;
}

Strategy split(uint32_t factor, Cut cut) {
  return {Strategy::Kind::kFactor, factor, std::move(cut), 0};
}

// A matrix product of m × k by k × n.
ShardingRule matmul_rule() {
  ShardingRule rule;
  rule.add_factor("m", 8);
  rule.add_factor("n", 12);
  rule.add_factor("k", 6, Factor::Kind::kReduction);
  rule.inputs = {{along({0}), along({2})}, {along({2}), along({1})}};
  rule.outputs = {{along({0}), along({1})}};
  rule.linear = {{ReduceOp::kSum, {0}}};
  return rule;
}

TEST(ShardingRule, Text) {
  EXPECT_EQ(matmul_rule().text(), "m k, k n -> m n; sum k");
  EXPECT_EQ(text_of(Strategy::whole(), matmul_rule()), "whole");
  EXPECT_EQ(text_of(split(1, Cut::even(12)), matmul_rule()), "n");
  EXPECT_EQ(text_of(split(1, Cut::even(12, 4)), matmul_rule()), "n[12/4]");
}

TEST(ShardingRule, SplittingAParallelFactorSplitsWhoHasIt) {
  const auto result = placements(matmul_rule(), split(1, Cut::even(12)));
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->inputs[0].is_replicate());
  EXPECT_EQ(result->inputs[1], Placement::shard(1, Cut::even(12)));
  EXPECT_EQ(result->outputs[0], Placement::shard(1, Cut::even(12)));
}

TEST(ShardingRule, SplittingAReductionLeavesTerms) {
  const auto result = placements(matmul_rule(), split(2, Cut::even(6)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->inputs[0], Placement::shard(1, Cut::even(6)));
  EXPECT_EQ(result->inputs[1], Placement::shard(0, Cut::even(6)));
  EXPECT_EQ(result->outputs[0], Placement::partial());
  // Elements that two ranks hold would enter twice.
  EXPECT_FALSE(placements(matmul_rule(), split(2, Cut({{6, 1, 2}}))));
}

TEST(ShardingRule, LinearOperands) {
  const auto result = placements(matmul_rule(), {Strategy::Kind::kLinear, 0, {}, 0});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->inputs[0], Placement::partial());
  EXPECT_TRUE(result->inputs[1].is_replicate());
  EXPECT_EQ(result->outputs[0], Placement::partial());
  EXPECT_FALSE(placements(matmul_rule(), {Strategy::Kind::kLinear, 0, {}, 1}));
}

TEST(ShardingRule, StrategiesThatCannotBeCarriedOut) {
  ShardingRule rule = matmul_rule();
  EXPECT_FALSE(placements(rule, split(1, Cut::even(13))));  // a cut of another size
  EXPECT_FALSE(placements(rule, split(9, Cut::even(12))));
  rule.factors[1].kind = Factor::Kind::kReplicate;
  EXPECT_FALSE(placements(rule, split(1, Cut::even(12))));
  // A diagonal: two dimensions of an operand along one factor.
  rule = matmul_rule();
  rule.inputs[0] = {along({0}), along({0})};
  EXPECT_FALSE(placements(rule, split(0, Cut::even(8))));
  // A parallel factor that the result does not have.
  rule = matmul_rule();
  rule.outputs[0][1].clear();
  EXPECT_FALSE(placements(rule, split(1, Cut::even(12))));
  // A factor that must stay in one piece.
  rule = matmul_rule();
  rule.factors[1].contiguous = true;
  EXPECT_TRUE(placements(rule, split(1, Cut::even(12))));
  EXPECT_FALSE(placements(rule, split(1, Cut({{4, 1, 1}, {8, 1, 1}}))));
}

// hidden = heads × size.
ShardingRule heads_rule(const Dim& leading = 12) {
  ShardingRule rule;
  rule.add_factor("h", leading);
  rule.add_factor("d", 64);
  rule.inputs = {{along({0, 1})}};
  rule.outputs = {{along({0}), along({1})}};
  return rule;
}

TEST(ShardingRule, MinorFactorsAreTheGrainOfMajorOnes) {
  const auto result = placements(heads_rule(), split(0, Cut::even(12)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->inputs[0], Placement::shard(0, Cut::even(768, 64)));
  EXPECT_EQ(result->outputs[0], Placement::shard(0, Cut::even(12)));
  EXPECT_FALSE(placements(heads_rule(), split(1, Cut::even(64))));  // too many segments
  EXPECT_EQ(factor_cut(heads_rule(), heads_rule().inputs[0], 0, 0, Cut::even(768, 128)),
            Cut::even(12, 2));
  EXPECT_EQ(factor_cut(heads_rule(), heads_rule().inputs[0], 0, 0, Cut::even(768, 32)),
            std::nullopt);
}

// [3 · heads · size] as [3, heads, size]: a fused weight of three.
TEST(ShardingRule, FactorsBeforeTheOneThatIsSplitRepeatItsSegments) {
  ShardingRule rule;
  rule.add_factor("p", 3);
  rule.add_factor("h", 12);
  rule.add_factor("d", 64);
  rule.inputs = {{along({0, 1, 2})}};
  rule.outputs = {{along({0}), along({1}), along({2})}};
  const auto result = placements(rule, split(1, Cut::even(12)));
  ASSERT_TRUE(result);
  const Cut fused({{768, 64, 1}, {768, 64, 1}, {768, 64, 1}});
  EXPECT_EQ(result->inputs[0], Placement::shard(0, fused));
  EXPECT_EQ(result->outputs[0], Placement::shard(1, Cut::even(12)));
  EXPECT_EQ(factor_cut(rule, rule.inputs[0], 0, 1, fused), Cut::even(12));
  // Cuts of the dimension that are not the same three times over are none of the factor.
  EXPECT_EQ(factor_cut(rule, rule.inputs[0], 0, 1, Cut::even(2304, 64)), std::nullopt);
  EXPECT_EQ(
      factor_cut(rule, rule.inputs[0], 0, 1, Cut({{768, 64, 1}, {768, 128, 1}, {768, 64, 1}})),
      std::nullopt);
  // A factor of several segments.
  const Cut two({{4, 1, 1}, {8, 2, 1}});
  EXPECT_EQ(factor_cut(rule, rule.inputs[0], 0, 1, *dim_cut(rule, rule.inputs[0], 0, 1, two)), two);
  // How many there are must be known.
  rule.factors[0].size = Dim::symbol("n");
  EXPECT_FALSE(placements(rule, split(1, Cut::even(12))));
}

TEST(ShardingRule, WhatEachRankHoldsWholeIsReplicated) {
  const Cut shared({{64, 64, 3}});
  const ShardingRule rule = heads_rule(1);
  for (int64_t ranks : {2, 3}) {
    EXPECT_TRUE(replicates_all(*placements(rule, split(1, shared), ranks)));
  }
  // One of four ranks holds nothing.
  EXPECT_EQ(placements(rule, split(1, shared), 4)->outputs[0], Placement::shard(1, shared));
  EXPECT_EQ(placements(rule, split(1, Cut::even(64)), 2),
            placements(rule, split(1, Cut::even(64))));
}

TEST(ShardingRule, MajorFactorsOfOneAreNoObstacle) {
  const auto result = placements(heads_rule(1), split(1, Cut::even(64)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->inputs[0], Placement::shard(0, Cut::even(64)));
}

// 12 query heads on 3 key/value heads.
TEST(ShardingRule, DividedFactorsShareGrains) {
  ShardingRule rule;
  rule.add_factor("h", 12);
  rule.inputs = {{along({0})}, {{FactorUse{.factor = 0, .divisor = 4}}}};
  rule.outputs = {{along({0})}};
  const auto even = placements(rule, split(0, Cut::even(12)));
  ASSERT_TRUE(even);
  EXPECT_EQ(even->inputs[1], Placement::shard(0, Cut({{3, 1, 4}})));
  // Cuts in pairs of query heads share too, cuts by whole groups do not.
  EXPECT_EQ(placements(rule, split(0, Cut::even(12, 2)))->inputs[1],
            Placement::shard(0, Cut({{3, 1, 2}})));
  EXPECT_EQ(placements(rule, split(0, Cut::even(12, 4)))->inputs[1],
            Placement::shard(0, Cut::even(3)));
  EXPECT_FALSE(placements(rule, split(0, Cut::even(12, 3))));
  for (int64_t grain : {1, 2, 4, 12}) {
    const Cut cut = Cut::even(12, grain);
    const auto divided = dim_cut(rule, rule.inputs[1], 0, 0, cut);
    ASSERT_TRUE(divided);
    EXPECT_EQ(factor_cut(rule, rule.inputs[1], 0, 0, *divided), cut);
    // What a rank holds of the divided dimension covers what it holds of the factor.
    for (int64_t ranks = 1; ranks <= 16; ++ranks) {
      for (int64_t rank = 0; rank < ranks; ++rank) {
        const Piece units = cut.pieces(rank, ranks)[0];
        const Piece held = divided->pieces(rank, ranks)[0];
        if (units.extent.is(0)) {
          EXPECT_EQ(held.extent, Dim(0));
          continue;
        }
        EXPECT_EQ(held.begin, floor_div(units.begin, 4));
        EXPECT_EQ(held.begin + held.extent, ceil_div(units.begin + units.extent, 4));
      }
    }
  }
}

// y = concat(a, b): operands are parts of the factor.
TEST(ShardingRule, PartsNeedSegments) {
  ShardingRule rule;
  rule.add_factor("c", 10);
  rule.inputs = {{{FactorUse{.factor = 0, .begin = 0, .extent = 4}}},
                 {{FactorUse{.factor = 0, .begin = 4, .extent = 6}}}};
  rule.outputs = {{along({0})}};
  EXPECT_FALSE(placements(rule, split(0, Cut::even(10))));
  const Cut cut({{4, 1, 1}, {6, 2, 1}});
  const auto result = placements(rule, split(0, cut));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->inputs[0], Placement::shard(0, Cut::even(4)));
  EXPECT_EQ(result->inputs[1], Placement::shard(0, Cut::even(6, 2)));
  EXPECT_EQ(result->outputs[0], Placement::shard(0, cut));
  EXPECT_EQ(factor_cut(rule, rule.inputs[0], 0, 0, Cut::even(4)), std::nullopt);
}

TEST(ShardingRule, GrainsOfAFactorBoundItsCuts) {
  ShardingRule rule = heads_rule();
  rule.factors[0].grain = 4;
  EXPECT_EQ(factor_cut(rule, rule.outputs[0], 0, 0, Cut::even(12, 4)), Cut::even(12, 4));
  EXPECT_EQ(factor_cut(rule, rule.outputs[0], 0, 0, Cut::even(12, 2)), std::nullopt);
  EXPECT_FALSE(placements(rule, split(0, Cut::even(12, 2))));
}

TEST(Layout, PlacementTextIsReadBack) {
  for (const Placement& placement :
       {Placement::replicate(), Placement::partial(ReduceOp::kMax),
        Placement::shard(1, Cut({{12, 1, 4}, {Dim::symbol("n"), 1, 1}}))}) {
    EXPECT_EQ(Placement::parse(placement.text()), placement) << placement.text();
  }
  EXPECT_EQ(Placement::shard(1, Cut::even(384, 32)).text(), "shard(1, 384/32)");
  for (const char* text :
       {"", "shard", "shard(1)", "shard(x, 4/1)", "partial(mean)", "replicate "}) {
    EXPECT_THROW(Placement::parse(text), Error) << text;
  }
}

TEST(Layout, LocalTypes) {
  const TensorType whole{DType::kFloat32, {3, 10}};
  EXPECT_EQ(local_type(whole, Placement::shard(1, Cut::even(10)), 1, 3).shape, (Shape{3, 3}));
  EXPECT_EQ(local_type(whole, Placement::shard(1, Cut::even(10)), 2, 3).shape, (Shape{3, 4}));
  EXPECT_EQ(local_type(whole, Placement::partial(), 1, 3), whole);
  EXPECT_EQ((Mesh{{{"x", 2}, {"y", 4}}}).text(), "{x:2, y:4}");
  EXPECT_EQ((Mesh{{{"x", 2}, {"y", 4}}}).ranks(), 8);
}

}  // namespace
}  // namespace cleave::layout
