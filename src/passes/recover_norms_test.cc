#include "passes/recover_norms.h"

#include <ostream>

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::only;
using testing::ops_of;
using testing::replaced;

const SymbolValues kSizes{{"n", 3}};

// As exporters write it: ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add.
constexpr const char* kLayerNorm = R"(
  input %x : f32[n, 5, 8]
  input %scale : f32[8]
  input %bias : f32[1, 1, 8]
  constant %eight : f32[] = [8]
  constant %two : f32[] = [2]
  constant %epsilon : f32[] = [0.0625]
  %sum = reduce_sum(%x) {axes=[2]} : f32[n, 5]
  %eights = broadcast(%eight) {shape=[n, 5]} : f32[n, 5]
  %mean = div(%sum, %eights) : f32[n, 5]
  %kept = reshape(%mean) {shape=[n, 5, 1]} : f32[n, 5, 1]
  %means = broadcast(%kept) {shape=[n, 5, 8]} : f32[n, 5, 8]
  %centred = sub(%x, %means) : f32[n, 5, 8]
  %twos = broadcast(%two) {shape=[n, 5, 8]} : f32[n, 5, 8]
  %square = pow(%centred, %twos) : f32[n, 5, 8]
  %squares = reduce_sum(%square) {axes=[2]} : f32[n, 5]
  %variance = div(%squares, %eights) : f32[n, 5]
  %variances = reshape(%variance) {shape=[n, 5, 1]} : f32[n, 5, 1]
  %epsilons = broadcast(%epsilon) {shape=[n, 5, 1]} : f32[n, 5, 1]
  %shifted = add(%variances, %epsilons) : f32[n, 5, 1]
  %deviation = sqrt(%shifted) : f32[n, 5, 1]
  %deviations = broadcast(%deviation) {shape=[n, 5, 8]} : f32[n, 5, 8]
  %normal = div(%centred, %deviations) : f32[n, 5, 8]
  %scales = broadcast(%scale) {shape=[n, 5, 8]} : f32[n, 5, 8]
  %scaled = mul(%scales, %normal) : f32[n, 5, 8]
  %biases = broadcast(%bias) {shape=[n, 5, 8]} : f32[n, 5, 8]
  %y = add(%scaled, %biases) : f32[n, 5, 8]
  return %y)";

// Without the nodes that nobody reads: what a pass does not replace it does not drop.
ir::Graph run(const std::string& body, double tolerance = 1e-5) {
  return checked(body, recover_norms, kSizes, tolerance);
}

TEST(RecoverNorms, LayerNormWithScaleAndBias) {
  const ir::Graph graph = run(kLayerNorm);
  EXPECT_EQ(ops_of(graph), "layer_norm=1 reshape=1");  // the bias as [8]
  const ir::Node& norm = only(graph, "layer_norm");
  EXPECT_EQ(norm.attributes.text(), "{axes=1, epsilon=0.0625}");
  ASSERT_EQ(norm.inputs.size(), 3u);
  EXPECT_EQ(graph.value(norm.inputs[0]).name, "x");
  EXPECT_EQ(graph.value(norm.inputs[1]).name, "scale");
}

TEST(RecoverNorms, InverseDeviations) {
  const char* const spellings[] = {
      "%inverse = rsqrt(%shifted) : f32[n, 5, 1]",
      "%root = sqrt(%shifted) : f32[n, 5, 1]\n  %inverse = reciprocal(%root) : f32[n, 5, 1]",
      "%root = sqrt(%shifted) : f32[n, 5, 1]\n"
      "  constant %one : f32[1] = [1]\n"
      "  %ones = broadcast(%one) {shape=[n, 5, 1]} : f32[n, 5, 1]\n"
      "  %inverse = div(%ones, %root) : f32[n, 5, 1]",
      "constant %minus : f32[] = [-0.5]\n"
      "  %halves = broadcast(%minus) {shape=[n, 5, 1]} : f32[n, 5, 1]\n"
      "  %inverse = pow(%shifted, %halves) : f32[n, 5, 1]"};
  for (const char* spelling : spellings) {
    std::string body = replaced(kLayerNorm, "%deviation = sqrt(%shifted) : f32[n, 5, 1]", spelling);
    body = replaced(body, "broadcast(%deviation)", "broadcast(%inverse)");
    body = replaced(body, "div(%centred, %deviations)", "mul(%deviations, %centred)");
    EXPECT_EQ(ops_of(run(body)), "layer_norm=1 reshape=1") << body;
  }
}

TEST(RecoverNorms, MeansByProductSquareByProductAndKeptFirst) {
  std::string body = replaced(kLayerNorm, "= [8]", "= [0.125]");
  body = replaced(body, "div(%sum, %eights)", "mul(%eights, %sum)");
  body = replaced(body, "div(%squares, %eights)", "mul(%squares, %eights)");
  body = replaced(body, "pow(%centred, %twos)", "mul(%centred, %centred)");
  // The broadcast exponent is not read any more; dropping it is for dead_code.
  EXPECT_EQ(ops_of(run(body)), "broadcast=1 layer_norm=1 reshape=1");
}

TEST(RecoverNorms, SeveralDimensionsAndSymbolicCounts) {
  const ir::Graph graph = run(R"(
  input %x : f32[5, n, 4]
  constant %epsilon : f32[] = [0.0625]
  %square = mul(%x, %x) : f32[5, n, 4]
  %sum = reduce_sum(%square) {axes=[1, 2]} : f32[5]
  %count = shape_values() {scalar=1, to=type(f32), values=[4*n]} : f32[]
  %counts = broadcast(%count) {shape=[5]} : f32[5]
  %mean = div(%sum, %counts) : f32[5]
  %epsilons = broadcast(%epsilon) {shape=[5]} : f32[5]
  %shifted = add(%epsilons, %mean) : f32[5]
  %inverse = rsqrt(%shifted) : f32[5]
  %kept = reshape(%inverse) {shape=[5, 1, 1]} : f32[5, 1, 1]
  %wide = broadcast(%kept) {shape=[5, n, 4]} : f32[5, n, 4]
  %y = mul(%x, %wide) : f32[5, n, 4]
  return %y)");
  EXPECT_EQ(ops_of(graph), "rms_norm=1");
  EXPECT_EQ(only(graph, "rms_norm").attributes.integer("axes"), 2);
}

// In half precision, statistics are taken in float32.
TEST(RecoverNorms, RmsNormInFloat32OfHalves) {
  const ir::Graph graph = run(R"(
  input %h : f16[n, 8]
  input %scale : f16[8]
  constant %eight : f32[] = [8]
  constant %epsilon : f32[] = [0.0625]
  %x = cast(%h) {to=type(f32)} : f32[n, 8]
  %square = mul(%x, %x) : f32[n, 8]
  %sum = reduce_sum(%square) {axes=[1]} : f32[n]
  %eights = broadcast(%eight) {shape=[n]} : f32[n]
  %mean = div(%sum, %eights) : f32[n]
  %kept = reshape(%mean) {shape=[n, 1]} : f32[n, 1]
  %epsilons = broadcast(%epsilon) {shape=[n, 1]} : f32[n, 1]
  %shifted = add(%kept, %epsilons) : f32[n, 1]
  %inverse = rsqrt(%shifted) : f32[n, 1]
  %wide = broadcast(%inverse) {shape=[n, 8]} : f32[n, 8]
  %normal = mul(%x, %wide) : f32[n, 8]
  %half = cast(%normal) {to=type(f16)} : f16[n, 8]
  %scales = broadcast(%scale) {shape=[n, 8]} : f16[n, 8]
  %y = mul(%scales, %half) : f16[n, 8]
  return %y)",
                              2e-3);
  EXPECT_EQ(ops_of(graph), "rms_norm=1");
  EXPECT_EQ(only(graph, "rms_norm").inputs.size(), 2u);
}

// What comes close is left alone.
struct NearMiss {
  const char* what;
  const char* from;
  const char* to;

  friend void PrintTo(const NearMiss& miss, std::ostream* out) { *out << miss.what; }
};

class RecoverNormsNot : public ::testing::TestWithParam<NearMiss> {};

TEST_P(RecoverNormsNot, NearMisses) {
  const ir::Graph graph = run(replaced(kLayerNorm, GetParam().from, GetParam().to));
  EXPECT_EQ(ops_of(graph).find("norm"), std::string::npos) << ir::to_text(graph);
}

INSTANTIATE_TEST_SUITE_P(
    All, RecoverNormsNot,
    ::testing::Values(
        NearMiss{"another count", "= [8]", "= [7]"}, NearMiss{"another power", "= [2]", "= [3]"},
        NearMiss{"epsilon behind the root",
                 "%shifted = add(%variances, %epsilons) : f32[n, 5, 1]\n"
                 "  %deviation = sqrt(%shifted) : f32[n, 5, 1]",
                 "%shifted = sqrt(%variances) : f32[n, 5, 1]\n"
                 "  %deviation = add(%shifted, %epsilons) : f32[n, 5, 1]"},
        NearMiss{"epsilon below 0", "= [0.0625]", "= [-0.0625]"},
        NearMiss{"an intermediate result that is read", "return %y", "return %y, %variance"},
        NearMiss{"the mean is read", "return %y", "return %y, %means"},
        NearMiss{"the sum of something else", "pow(%centred, %twos)", "pow(%x, %twos)"}));

TEST(RecoverNorms, OtherAxesAreLeft) {
  const ir::Graph graph = run(R"(
  input %x : f32[n, 5, 8]
  constant %five : f32[] = [5]
  constant %epsilon : f32[] = [0.0625]
  %square = mul(%x, %x) : f32[n, 5, 8]
  %sum = reduce_sum(%square) {axes=[1]} : f32[n, 8]
  %fives = broadcast(%five) {shape=[n, 8]} : f32[n, 8]
  %mean = div(%sum, %fives) : f32[n, 8]
  %kept = reshape(%mean) {shape=[n, 1, 8]} : f32[n, 1, 8]
  %epsilons = broadcast(%epsilon) {shape=[n, 1, 8]} : f32[n, 1, 8]
  %shifted = add(%kept, %epsilons) : f32[n, 1, 8]
  %inverse = rsqrt(%shifted) : f32[n, 1, 8]
  %wide = broadcast(%inverse) {shape=[n, 5, 8]} : f32[n, 5, 8]
  %y = mul(%x, %wide) : f32[n, 5, 8]
  return %y)");
  EXPECT_EQ(ops_of(graph).find("norm"), std::string::npos);
}

// A scale that differs between rows is no operand of the normalisation.
TEST(RecoverNorms, ScalesOfRowsStayOutside) {
  std::string body = replaced(kLayerNorm, "input %scale : f32[8]", "input %scale : f32[5, 8]");
  const ir::Graph graph = run(body);
  EXPECT_EQ(ops_of(graph), "add=1 broadcast=2 layer_norm=1 mul=1");
}

}  // namespace
}  // namespace cleave::passes
