#include "passes/recover_rotary.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::only;
using testing::ops_of;
using testing::replaced;

const SymbolValues kSizes{{"n", 2}, {"s", 5}};

// As Llama has it: frequencies twice, halves turned.
constexpr const char* kHalves = R"(
  input %x : f32[n, 3, s, 8]
  input %angles : f32[s, 4]
  %both = concat(%angles, %angles) {axis=1} : f32[s, 8]
  %c = cos(%both) : f32[s, 8]
  %d = sin(%both) : f32[s, 8]
  %cos = reshape(%c) {shape=[1, 1, s, 8]} : f32[1, 1, s, 8]
  %sin = reshape(%d) {shape=[1, 1, s, 8]} : f32[1, 1, s, 8]
  %first, %second = split(%x) {axis=3, sizes=[4, 4]} : f32[n, 3, s, 4], f32[n, 3, s, 4]
  %minus = neg(%second) : f32[n, 3, s, 4]
  %turned = concat(%minus, %first) {axis=3} : f32[n, 3, s, 8]
  %cosines = broadcast(%cos) {shape=[n, 3, s, 8]} : f32[n, 3, s, 8]
  %sines = broadcast(%sin) {shape=[n, 3, s, 8]} : f32[n, 3, s, 8]
  %p = mul(%x, %cosines) : f32[n, 3, s, 8]
  %q = mul(%turned, %sines) : f32[n, 3, s, 8]
  %y = add(%p, %q) : f32[n, 3, s, 8]
  return %y)";

ir::Graph run(const std::string& body) { return checked(body, recover_rotary, kSizes); }

bool is_recovered(const ir::Graph& graph) {
  return ops_of(graph).find("rotary=1") != std::string::npos &&
         ops_of(graph).find("neg") == std::string::npos;
}

TEST(RecoverRotary, Halves) {
  const ir::Graph graph = run(kHalves);
  EXPECT_TRUE(is_recovered(graph)) << ir::to_text(graph);
  const ir::Node& rotary = only(graph, "rotary");
  EXPECT_EQ(graph.value(rotary.inputs[0]).name, "x");
  EXPECT_EQ(graph.type(rotary.inputs[1]).text(), "f32[1, 1, s, 4]");
  EXPECT_EQ(rotary.attributes.integer("interleaved", 0), 0);
}

TEST(RecoverRotary, HalvesBySlicesInOtherOrders) {
  std::string body = replaced(
      kHalves,
      "%first, %second = split(%x) {axis=3, sizes=[4, 4]} : f32[n, 3, s, 4], f32[n, 3, s, 4]",
      "%first = slice(%x) {begin=[0, 0, 0, 0], extent=[n, 3, s, 4], step=[1, 1, 1, 1]} : f32[n, 3, "
      "s, 4]\n"
      "%second = slice(%x) {begin=[0, 0, 0, 4], extent=[n, 3, s, 4], step=[1, 1, 1, 1]} : f32[n, "
      "3, s, 4]");
  body = replaced(body, "mul(%x, %cosines)", "mul(%cosines, %x)");
  body = replaced(body, "add(%p, %q)", "add(%q, %p)");
  EXPECT_TRUE(is_recovered(run(body)));
}

// Tables of all positions, read by row.
TEST(RecoverRotary, GatheredTables) {
  constexpr const char* kTables = R"(
  input %x : f32[n, 4]
  input %rows : i64[n]
  constant %c : f32[4, 4] = [1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8]
  constant %d : f32[4, 4] = [2, 1, 2, 1, 4, 3, 4, 3, 6, 5, 6, 5, 8, 7, 8, 7]
  %cos = gather(%c, %rows) {axis=0} : f32[n, 4]
  %sin = gather(%d, %rows) {axis=0} : f32[n, 4]
  %first, %second = split(%x) {axis=1, sizes=[2, 2]} : f32[n, 2], f32[n, 2]
  %minus = neg(%second) : f32[n, 2]
  %turned = concat(%minus, %first) {axis=1} : f32[n, 4]
  %p = mul(%x, %cos) : f32[n, 4]
  %q = mul(%turned, %sin) : f32[n, 4]
  %y = add(%p, %q) : f32[n, 4]
  return %y)";
  EXPECT_TRUE(is_recovered(run(kTables)));
  // One element of a table that is not repeated.
  EXPECT_FALSE(is_recovered(run(replaced(kTables, "7, 8, 7, 8", "7, 8, 7, 9"))));
}

TEST(RecoverRotary, Pairs) {
  const ir::Graph graph = run(R"(
  input %x : f32[n, s, 8]
  input %angles : f32[s, 4]
  %single = reshape(%angles) {shape=[s, 4, 1]} : f32[s, 4, 1]
  %double = broadcast(%single) {shape=[s, 4, 2]} : f32[s, 4, 2]
  %both = reshape(%double) {shape=[s, 8]} : f32[s, 8]
  %cos = cos(%both) : f32[s, 8]
  %sin = sin(%both) : f32[s, 8]
  %even = slice(%x) {begin=[0, 0, 0], extent=[n, s, 4], step=[1, 1, 2]} : f32[n, s, 4]
  %odd = slice(%x) {begin=[0, 0, 1], extent=[n, s, 4], step=[1, 1, 2]} : f32[n, s, 4]
  %minus = neg(%odd) : f32[n, s, 4]
  %a = reshape(%minus) {shape=[n, s, 4, 1]} : f32[n, s, 4, 1]
  %b = reshape(%even) {shape=[n, s, 4, 1]} : f32[n, s, 4, 1]
  %stack = concat(%a, %b) {axis=3} : f32[n, s, 4, 2]
  %turned = reshape(%stack) {shape=[n, s, 8]} : f32[n, s, 8]
  %cosines = broadcast(%cos) {shape=[n, s, 8]} : f32[n, s, 8]
  %sines = broadcast(%sin) {shape=[n, s, 8]} : f32[n, s, 8]
  %p = mul(%x, %cosines) : f32[n, s, 8]
  %q = mul(%turned, %sines) : f32[n, s, 8]
  %y = add(%p, %q) : f32[n, s, 8]
  return %y)");
  EXPECT_TRUE(is_recovered(graph)) << ir::to_text(graph);
  EXPECT_EQ(only(graph, "rotary").attributes.integer("interleaved"), 1);
}

constexpr const char* kParts = R"(
  input %x : f32[n, s, 8]
  input %cos : f32[s, 4]
  input %sin : f32[s, 4]
  %first, %second = split(%x) {axis=2, sizes=[4, 4]} : f32[n, s, 4], f32[n, s, 4]
  %cosines = broadcast(%cos) {shape=[n, s, 4]} : f32[n, s, 4]
  %sines = broadcast(%sin) {shape=[n, s, 4]} : f32[n, s, 4]
  %a = mul(%first, %cosines) : f32[n, s, 4]
  %b = mul(%second, %sines) : f32[n, s, 4]
  %real = sub(%a, %b) : f32[n, s, 4]
  %c = mul(%sines, %first) : f32[n, s, 4]
  %d = mul(%second, %cosines) : f32[n, s, 4]
  %imaginary = add(%c, %d) : f32[n, s, 4]
  %y = concat(%real, %imaginary) {axis=2} : f32[n, s, 8]
  return %y)";

TEST(RecoverRotary, ByParts) {
  const ir::Graph graph = run(kParts);
  EXPECT_EQ(ops_of(graph), "rotary=1");
  EXPECT_EQ(graph.value(only(graph, "rotary").inputs[1]).name, "cos");
}

TEST(RecoverRotary, NearMissesAreLeft) {
  const std::string misses[] = {
      // turned the other way
      replaced(kHalves, "concat(%minus, %first)", "concat(%first, %minus)"),
      replaced(kHalves, "neg(%second)", "exp(%second)"),
      // frequencies that differ between the halves
      replaced(kHalves, "input %angles : f32[s, 4]",
               "input %angles : f32[s, 4]\n  input %others : f32[s, 4]"),
      // read by others
      replaced(kHalves, "return %y", "return %y, %turned"),
      replaced(kParts, "sub(%a, %b)", "add(%a, %b)"),
      replaced(kParts, "mul(%sines, %first)", "mul(%sines, %second)"),
      replaced(kParts, "return %y", "return %y, %real")};
  for (size_t i = 0; i < std::size(misses); ++i) {
    const std::string body =
        i == 2 ? replaced(misses[i], "concat(%angles, %angles)", "concat(%angles, %others)")
               : misses[i];
    EXPECT_EQ(ops_of(run(body)).find("rotary"), std::string::npos) << body;
  }
}

}  // namespace
}  // namespace cleave::passes
