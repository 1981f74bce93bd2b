#include "passes/common_subexpressions.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::ops_of;

TEST(CommonSubexpressions, EqualNodesAreMerged) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4]
  constant %a : f32[4] = [1, 2, 3, 4]
  constant %b : f32[4] = [1, 2, 3, 4]
  %p = add(%x, %a) : f32[4]
  %q = add(%x, %b) : f32[4]
  %r = exp(%p) : f32[4]
  %s = exp(%q) : f32[4]
  %y = mul(%r, %s) : f32[4]
  return %y)",
                                  common_subexpressions, {}, 0);
  EXPECT_EQ(ops_of(graph), "add=1 exp=1 mul=1");
  EXPECT_EQ(graph.find_value("b"), std::nullopt);
}

TEST(CommonSubexpressions, OthersAreNot) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4, 4]
  constant %a : f32[4] = [1, 2, 3, 4]
  constant %b : f16[4] = [1, 2, 3, 4]
  constant %c : f32[2, 2] = [1, 2, 3, 4]
  %p = softmax(%x) {axis=0} : f32[4, 4]
  %q = softmax(%x) {axis=1} : f32[4, 4]
  %r = sub(%p, %q) : f32[4, 4]
  %s = sub(%q, %p) : f32[4, 4]
  return %r, %s, %a, %b, %c)",
                                  common_subexpressions, {}, 0);
  EXPECT_EQ(ops_of(graph), "softmax=2 sub=2");
}

TEST(CommonSubexpressions, AllResultsOfANodeAreMerged) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4, 4]
  %a, %b = split(%x) {axis=0, sizes=[1, 3]} : f32[1, 4], f32[3, 4]
  %c, %d = split(%x) {axis=0, sizes=[1, 3]} : f32[1, 4], f32[3, 4]
  %y = concat(%a, %d, %c, %b) {axis=0} : f32[8, 4]
  return %y)",
                                  common_subexpressions, {}, 0);
  EXPECT_EQ(ops_of(graph), "concat=1 split=1");
}

TEST(CommonSubexpressions, ResultsOfTheGraphKeepTheirNames) {
  const ir::Graph graph = checked(R"(
  input %x : f32[4]
  %a = exp(%x) : f32[4]
  %y = exp(%x) : f32[4]
  %z = exp(%x) : f32[4]
  %w = neg(%a) : f32[4]
  return %y, %z, %w)",
                                  common_subexpressions, {}, 0);
  EXPECT_EQ(ops_of(graph), "exp=2 neg=1");
}

}  // namespace
}  // namespace cleave::passes
