#include "types/size_guard.h"

#include <gtest/gtest.h>

#include <vector>

namespace cleave {
namespace {

TEST(SizeGuard, IsAddedOnce) {
  const Dim n = Dim::symbol("n");
  const Dim m = Dim::symbol("m");
  std::vector<SizeGuard> guards;
  for (const SizeGuard& guard :
       {SizeGuard{n, m, "add"}, {n, m, "mul"}, {m, n, "add"}, {n, n, "add"}, {n, n * 2, "add"}}) {
    add_guard(guards, guard);
  }
  EXPECT_EQ(guards, (std::vector<SizeGuard>{{n, m, "add"}, {n, n, "add"}, {n, n * 2, "add"}}));
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
