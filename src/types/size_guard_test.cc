#include "types/size_guard.h"

#include <gtest/gtest.h>

#include <vector>

namespace cleave {
namespace {

TEST(SizeGuard, AsksTheSameInEitherOrder) {
  const Dim n = Dim::symbol("n");
  const Dim m = Dim::symbol("m");
  EXPECT_TRUE((SizeGuard{n, m, "add"}.asks_the_same({n, m, "mul"})));
  EXPECT_TRUE((SizeGuard{n, m, "add"}.asks_the_same({m, n, "add"})));
  EXPECT_FALSE((SizeGuard{n, m, "add"}.asks_the_same({n, n, "add"})));
  EXPECT_FALSE((SizeGuard{n, n, "add"}.asks_the_same({n, m, "add"})));
}

TEST(SizeGuard, TheFirstThatDoesNotHoldIsFound) {
  const Dim n = Dim::symbol("n");
  const Dim m = Dim::symbol("m");
  const std::vector<SizeGuard> guards = {{n, n, "always"}, {n * 2, m, "twice"}, {m, n, "once"}};
  const SymbolValues symbols = {{"n", 3}, {"m", 4}};
  const SizeGuard* const broken = broken_guard(guards, symbols);
  ASSERT_EQ(broken, &guards[1]);
  EXPECT_EQ(broken->what_is_wrong(symbols), "2*n is 6 and must be m, which is 4");
  EXPECT_EQ(broken_guard(guards, {{"n", 0}, {"m", 0}}), nullptr);
  EXPECT_EQ(broken_guard({}, symbols), nullptr);
}

}  // namespace
}  // namespace cleave
