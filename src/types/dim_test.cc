#include "types/dim.h"

#include <gtest/gtest.h>

#include "cleave/error.h"

namespace cleave {
namespace {

const Dim b = Dim::symbol("batch");
const Dim s = Dim::symbol("seq");

TEST(Dim, CanonicalFormsProveEquality) {
  EXPECT_EQ((b + 1) * s, s * b + s);
  EXPECT_EQ(floor_div(b * s * 384, 384), b * s);
  EXPECT_EQ(floor_div(b * s * 384, s), b * 384);
  EXPECT_EQ(floor_div(s * 4 + 3, 4), s);
  EXPECT_EQ(ceil_div(s * 4 + 3, 4), s + 1);
  EXPECT_EQ(mod(s * 4 + 3, 4), Dim(3));
  EXPECT_EQ(b - b, Dim(0));
  EXPECT_EQ(max(b, b + 2), b + 2);
  EXPECT_EQ(exact_div(b * s + s, b + 1), s);
  EXPECT_NE(b, s);
}

TEST(Dim, EvaluatesLikeIntegers) {
  const SymbolValues values = {{"batch", 3}, {"seq", 7}, {std::string(kRankSymbol), 2}};
  EXPECT_EQ((b * s + 1).evaluate(values), 22);
  EXPECT_EQ(floor_div(s * Dim::rank(), 4).evaluate(values), 3);
  EXPECT_EQ(floor_div(-s, 2).evaluate(values), -4);
  EXPECT_EQ(min(b, s).evaluate(values), 3);
  EXPECT_THROW(Dim::symbol("x").evaluate(values), Error);
  EXPECT_THROW((Dim(INT64_MAX) * b).evaluate(values), Error);
  EXPECT_THROW(floor_div(b, s - 7).evaluate(values), Error);
}

TEST(Dim, BoundsContainEveryValue) {
  const SymbolBounds bounds = {{"batch", {1, 8}}, {"seq", {1, 256}}};
  EXPECT_EQ((b * s).bounds(bounds), (Interval{1, 2048}));
  EXPECT_EQ((b - s).bounds(bounds), (Interval{-255, 7}));
  EXPECT_EQ(floor_div(s, 2).bounds(bounds), (Interval{0, 128}));
}

TEST(Dim, TextRoundTrips) {
  for (const Dim& dim : {Dim(0), Dim(-5), b, -b, b * s * 2 - 7, floor_div(Dim::rank() * s, 4) * 32,
                         max(b, floor_div(s, 3)) - min(b, s * s), Dim(INT64_MIN)}) {
    EXPECT_EQ(Dim::parse(dim.text()), dim) << dim.text();
  }
  for (const char* bad : {"", "2 +", "f(1, 2)", "min(1)", "1)", "99999999999999999999", "a b"}) {
    EXPECT_THROW(Dim::parse(bad), Error) << bad;
  }
  EXPECT_THROW(Dim::parse(std::string(1000, '(')), Error);
}

TEST(Dim, SubstitutesSymbols) {
  EXPECT_EQ((floor_div(b * 5, 2) + s).substitute({{"batch", Dim(4)}, {"seq", b}}), b + 10);
}

}  // namespace
}  // namespace cleave
