#include "passes/recover_attention.h"

#include "passes/testing.h"

namespace cleave::passes {
namespace {

using testing::checked;
using testing::only;
using testing::ops_of;
using testing::replaced;

const SymbolValues kSizes{{"b", 2}, {"s", 3}, {"t", 5}};

// Scores are scaled and masked by a sum, keys are turned: BERT.
constexpr const char* kAdded = R"(
  input %q : f32[b, 4, s, 8]
  input %k : f32[b, 4, t, 8]
  input %v : f32[b, 4, t, 6]
  input %mask : f32[b, 1, 1, t]
  constant %c : f32[] = [2.5]
  %turned = transpose(%k) {perm=[0, 1, 3, 2]} : f32[b, 4, 8, t]
  %product = matmul(%q, %turned) : f32[b, 4, s, t]
  %divisor = broadcast(%c) {shape=[b, 4, s, t]} : f32[b, 4, s, t]
  %scaled = div(%product, %divisor) : f32[b, 4, s, t]
  %masks = broadcast(%mask) {shape=[b, 4, s, t]} : f32[b, 4, s, t]
  %masked = add(%scaled, %masks) : f32[b, 4, s, t]
  %weights = softmax(%masked) {axis=3} : f32[b, 4, s, t]
  %y = matmul(%weights, %v) : f32[b, 4, s, 6]
  return %y)";

// The same with a choice instead of the sum; %low and %visible are there for both.
constexpr const char* kChosen = R"(
  input %q : f32[b, 4, s, 8]
  input %k : f32[b, 4, t, 8]
  input %v : f32[b, 4, t, 6]
  input %mask : bool[s, t]
  constant %low : f32[] = [-inf]
  %product = matmul(%q, %k) {transpose_b=1} : f32[b, 4, s, t]
  %lows = broadcast(%low) {shape=[b, 4, s, t]} : f32[b, 4, s, t]
  %visible = broadcast(%mask) {shape=[b, 4, s, t]} : bool[b, 4, s, t]
  %masked = where(%visible, %product, %lows) : f32[b, 4, s, t]
  %weights = softmax(%masked) {axis=3} : f32[b, 4, s, t]
  %y = matmul(%weights, %v) : f32[b, 4, s, 6]
  return %y)";

ir::Graph run(const std::string& body) { return checked(body, recover_attention, kSizes); }

// Of rows and columns alike, with a causal mask that is made as `mask` says.
std::string causal(const std::string& mask, const std::string& low = "-3.4028234663852886e+38") {
  std::string body = replaced(kChosen, "  input %mask : bool[s, t]\n", "");
  body = replaced(body, "  %product", mask + "\n  %product");
  body = replaced(body, "[-inf]", "[" + low + "]");
  for (size_t at; (at = body.find(" t,")) != std::string::npos;) body.replace(at, 3, " s,");
  for (size_t at; (at = body.find(" t]")) != std::string::npos;) body.replace(at, 3, " s]");
  return body;
}

TEST(RecoverAttention, WithAnAddedMask) {
  const ir::Graph graph = run(kAdded);
  EXPECT_EQ(ops_of(graph), "attention=1 transpose=2");
  const ir::Node& attention = only(graph, "attention");
  ASSERT_EQ(attention.inputs.size(), 4u);
  EXPECT_EQ(graph.value(attention.inputs[3]).name, "mask");
  EXPECT_EQ(attention.attributes.text(), "{scale=0.4}");
}

// Heads and batches in one dimension: what diffusion models had before they were given 4-D
// products.
TEST(RecoverAttention, HeadsOfAllBatchesInOneDimension) {
  const std::string body = R"(
  input %q : f32[b, s, 8]
  input %k : f32[b, t, 8]
  input %v : f32[b, t, 6]
  input %mask : f32[b, 1, t]
  constant %c : f32[] = [0.5]
  %turned = transpose(%k) {perm=[0, 2, 1]} : f32[b, 8, t]
  %product = matmul(%q, %turned) : f32[b, s, t]
  %factor = broadcast(%c) {shape=[b, s, t]} : f32[b, s, t]
  %scaled = mul(%product, %factor) : f32[b, s, t]
  %masks = broadcast(%mask) {shape=[b, s, t]} : f32[b, s, t]
  %masked = add(%scaled, %masks) : f32[b, s, t]
  %weights = softmax(%masked) {axis=2} : f32[b, s, t]
  %y = matmul(%weights, %v) : f32[b, s, 6]
  return %y)";
  const ir::Graph graph = run(body);
  EXPECT_EQ(ops_of(graph), "attention=1 reshape=5 transpose=2");
  const ir::Node& attention = only(graph, "attention");
  EXPECT_EQ(graph.type(attention.inputs[0]).text(), "f32[1, b, s, 8]");
  EXPECT_EQ(graph.type(attention.inputs[3]).text(), "f32[1, b, 1, t]");
}

TEST(RecoverAttention, DeepHeadsStayProducts) {
  const auto with_depth = [](const std::string& depth) {
    std::string body = R"(
  input %q : f32[b, s, D]
  input %k : f32[b, t, D]
  input %v : f32[b, t, D]
  %product = matmul(%q, %k) {transpose_b=1} : f32[b, s, t]
  %weights = softmax(%product) {axis=2} : f32[b, s, t]
  %y = matmul(%weights, %v) : f32[b, s, D]
  return %y)";
    for (size_t at; (at = body.find("D]")) != std::string::npos;) body.replace(at, 1, depth);
    return ops_of(run(body));
  };
  EXPECT_EQ(with_depth("256"), "attention=1 reshape=4");
  EXPECT_EQ(with_depth("264"), "matmul=2 softmax=1");
}

TEST(RecoverAttention, MasksOfFewerDimensions) {
  std::string body = replaced(kAdded, "input %mask : f32[b, 1, 1, t]", "input %mask : f32[s, 1]");
  const ir::Graph graph = run(body);
  EXPECT_EQ(ops_of(graph), "attention=1 reshape=1 transpose=2");
  EXPECT_EQ(graph.type(only(graph, "attention").inputs[3]).text(), "f32[1, 1, s, 1]");
}

TEST(RecoverAttention, ScalesOfQueriesAndKeys) {
  const ir::Graph graph = run(R"(
  input %q : f32[b, 4, s, 8]
  input %k : f32[b, 4, t, 8]
  input %v : f32[b, 4, t, 6]
  constant %c : f32[] = [0.5]
  constant %d : f32[] = [2]
  %half = broadcast(%c) {shape=[b, 4, s, 8]} : f32[b, 4, s, 8]
  %two = broadcast(%d) {shape=[b, 4, t, 8]} : f32[b, 4, t, 8]
  %queries = mul(%half, %q) : f32[b, 4, s, 8]
  %keys = div(%k, %two) : f32[b, 4, t, 8]
  %product = matmul(%queries, %keys) {transpose_b=1} : f32[b, 4, s, t]
  %weights = softmax(%product) {axis=3} : f32[b, 4, s, t]
  %y = matmul(%weights, %v) : f32[b, 4, s, 6]
  return %y)");
  EXPECT_EQ(ops_of(graph), "attention=1");
  EXPECT_EQ(only(graph, "attention").attributes.real("scale"), 0.25);
}

TEST(RecoverAttention, GroupedHeads) {
  const std::string body = R"(
  input %q : f32[b, 6, s, 8]
  input %k : f32[b, 2, t, 8]
  input %v : f32[b, 2, t, 8]
  %k1 = reshape(%k) {shape=[b, 2, 1, t, 8]} : f32[b, 2, 1, t, 8]
  %v1 = reshape(%v) {shape=[b, 2, 1, t, 8]} : f32[b, 2, 1, t, 8]
  %k2 = broadcast(%k1) {shape=[b, 2, 3, t, 8]} : f32[b, 2, 3, t, 8]
  %v2 = broadcast(%v1) {shape=[b, 2, 3, t, 8]} : f32[b, 2, 3, t, 8]
  %k3 = reshape(%k2) {shape=[b, 6, t, 8]} : f32[b, 6, t, 8]
  %v3 = reshape(%v2) {shape=[b, 6, t, 8]} : f32[b, 6, t, 8]
  %product = matmul(%q, %k3) {transpose_b=1} : f32[b, 6, s, t]
  %weights = softmax(%product) {axis=3} : f32[b, 6, s, t]
  %y = matmul(%weights, %v3) : f32[b, 6, s, 8]
  return %y)";
  const ir::Graph graph = run(body);
  EXPECT_EQ(ops_of(graph), "attention=1 reshape=4");
  EXPECT_EQ(graph.type(only(graph, "attention").inputs[1]).text(), "f32[b, 2, t, 8]");
  EXPECT_EQ(graph.type(only(graph, "attention").inputs[2]).text(), "f32[b, 2, t, 8]");
  // Heads that alternate are no groups.
  std::string other = body;
  for (const char* name : {"k", "v"}) {
    const std::string n = name;
    other =
        replaced(other, n + "1 = reshape(%" + n + ") {shape=[b, 2, 1, t, 8]} : f32[b, 2, 1, t, 8]",
                 n + "1 = reshape(%" + n + ") {shape=[b, 1, 2, t, 8]} : f32[b, 1, 2, t, 8]");
    other = replaced(other,
                     n + "2 = broadcast(%" + n + "1) {shape=[b, 2, 3, t, 8]} : f32[b, 2, 3, t, 8]",
                     n + "2 = broadcast(%" + n + "1) {shape=[b, 3, 2, t, 8]} : f32[b, 3, 2, t, 8]");
  }
  const ir::Graph repeated = run(other);
  EXPECT_EQ(repeated.type(only(repeated, "attention").inputs[1]).text(), "f32[b, 6, t, 8]");
}

TEST(RecoverAttention, BooleanMasks) {
  const ir::Graph graph = run(kChosen);
  EXPECT_EQ(ops_of(graph), "attention=1 reshape=1");
  EXPECT_EQ(graph.type(only(graph, "attention").inputs[3]).text(), "bool[1, 1, s, t]");
  const ir::Graph hidden = run(
      replaced(kChosen, "where(%visible, %product, %lows)", "where(%visible, %lows, %product)"));
  EXPECT_EQ(ops_of(hidden), "attention=1 not=1 reshape=1");
}

// A row of which nothing is visible has equal weights where the low number is finite.
TEST(RecoverAttention, FiniteLowNumbersAreAdded) {
  std::string body = replaced(kChosen, "[-inf]", "[-3.4028234663852886e+38]");
  body = replaced(body, "input %mask : bool[s, t]",
                  "constant %mask : bool[3, 5] = [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]");
  for (size_t at; (at = body.find("4, s, t")) != std::string::npos;) body.replace(at, 7, "4, 3, 5");
  body = replaced(body, "q : f32[b, 4, s, 8]", "q : f32[b, 4, 3, 8]");
  body = replaced(body, "k : f32[b, 4, t, 8]", "k : f32[b, 4, 5, 8]");
  body = replaced(body, "v : f32[b, 4, t, 6]", "v : f32[b, 4, 5, 6]");
  body = replaced(body, "y = matmul(%weights, %v) : f32[b, 4, s, 6]",
                  "y = matmul(%weights, %v) : f32[b, 4, 3, 6]");
  const ir::Graph graph = run(body);
  EXPECT_EQ(graph.type(only(graph, "attention").inputs[3]).text(), "f32[1, 1, 3, 5]");
  EXPECT_NE(ops_of(graph).find("where=1"), std::string::npos);
}

TEST(RecoverAttention, SeveralMasksBecomeOne) {
  std::string body = replaced(kChosen, "input %mask : bool[s, t]",
                              "input %mask : bool[s, t]\n  input %bias : f32[4, s, t]");
  body = replaced(body, "  %lows",
                  "  %biases = broadcast(%bias) {shape=[b, 4, s, t]} : f32[b, 4, s, t]\n"
                  "  %biased = add(%biases, %product) : f32[b, 4, s, t]\n  %lows");
  body = replaced(body, "where(%visible, %product, %lows)", "where(%visible, %biased, %lows)");
  const ir::Graph graph = run(body);
  EXPECT_EQ(graph.type(only(graph, "attention").inputs[3]).text(), "f32[1, 4, s, t]");
}

TEST(RecoverAttention, CausalMasks) {
  const std::string triangle =
      "  constant %tri : bool[1, 1, 4, 4] = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1]\n";
  const std::string index =
      "  %i = iota() {axis=0, shape=[s], to=type(i64)} : i64[s]\n"
      "  %ci = reshape(%i) {shape=[1, s]} : i64[1, s]\n"
      "  %ri = reshape(%i) {shape=[s, 1]} : i64[s, 1]\n"
      "  %column = broadcast(%ci) {shape=[s, s]} : i64[s, s]\n"
      "  %row = broadcast(%ri) {shape=[s, s]} : i64[s, s]\n";
  const std::string masks[] = {
      triangle +
          "  %mask = slice(%tri) {begin=[0, 0, 0, 0], extent=[1, 1, s, s], step=[1, 1, 1, 1]} "
          ": bool[1, 1, s, s]",
      index + "  %mask = less_equal(%column, %row) : bool[s, s]",
      index + "  %mask = greater_equal(%row, %column) : bool[s, s]",
      index +
          "  %future = greater(%column, %row) : bool[s, s]\n  %mask = not(%future) : bool[s, s]"};
  for (const std::string& mask : masks) {
    for (const char* low : {"-inf", "-3.4028234663852886e+38", "-10000"}) {
      const ir::Graph graph = run(causal(mask, low));
      const ir::Node& attention = only(graph, "attention");
      EXPECT_EQ(attention.inputs.size(), 3u) << mask;
      EXPECT_EQ(attention.attributes.integer("causal"), 1);
    }
  }
}

TEST(RecoverAttention, CausalMasksOfLaterRows) {
  std::string body = replaced(
      kChosen, "input %mask : bool[s, t]",
      "input %past : f32[p]\n"
      "  constant %tri : bool[1, 1, 4, 4] = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1]\n"
      "  %mask = slice(%tri) {begin=[0, 0, p, 0], extent=[1, 1, s, p + s], step=[1, 1, 1, 1]} : "
      "bool[1, 1, s, p + s]");
  for (size_t at; (at = body.find(" t,")) != std::string::npos;) body.replace(at, 3, " p + s,");
  for (size_t at; (at = body.find(" t]")) != std::string::npos;) body.replace(at, 3, " p + s]");
  const SymbolValues sizes{{"b", 2}, {"s", 3}, {"p", 1}};
  const ir::Graph graph = checked(body, recover_attention, sizes);
  EXPECT_EQ(only(graph, "attention").attributes.integer("causal"), 1);
  // Rows that begin one later see one column more.
  const ir::Graph shifted = checked(replaced(body, "begin=[0, 0, p, 0]", "begin=[0, 0, p - 1, 0]"),
                                    recover_attention, sizes);
  EXPECT_FALSE(only(shifted, "attention").attributes.has("causal"));
}

TEST(RecoverAttention, AddedCausalMasks) {
  const std::string body =
      replaced(kAdded, "input %mask : f32[b, 1, 1, t]",
               "constant %mask : f32[3, 3] = [0, -10000, -10000, 0, 0, -10000, 0, 0, 0]");
  std::string square = body;
  for (size_t at; (at = square.find(" t,")) != std::string::npos;) square.replace(at, 3, " 3,");
  for (size_t at; (at = square.find(" t]")) != std::string::npos;) square.replace(at, 3, " 3]");
  for (size_t at; (at = square.find(" s,")) != std::string::npos;) square.replace(at, 3, " 3,");
  EXPECT_EQ(only(run(square), "attention").attributes.integer("causal"), 1);
  EXPECT_FALSE(only(run(replaced(square, "[0, -10000, -10000, 0, 0,", "[0, -10000, -10000, 0, 1,")),
                    "attention")
                   .attributes.has("causal"));
}

TEST(RecoverAttention, OtherMasksAreNotCausal) {
  const std::string masks[] = {
      "  constant %tri : bool[4, 4] = [1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1]\n"
      "  %mask = slice(%tri) {begin=[0, 0], extent=[s, s], step=[1, 1]} : bool[s, s]",
      "  constant %tri : bool[1, 4] = [1, 0, 0, 0]\n"
      "  %mask = slice(%tri) {begin=[0, 0], extent=[1, s], step=[1, 1]} : bool[1, s]",
      "  %row = iota() {axis=0, shape=[s, s], to=type(i64)} : i64[s, s]\n"
      "  %column = iota() {axis=1, shape=[s, s], to=type(i64)} : i64[s, s]\n"
      "  %mask = less(%column, %row) : bool[s, s]",
      "  %row = iota() {axis=0, shape=[s, s], to=type(i64)} : i64[s, s]\n"
      "  %column = iota() {axis=1, shape=[s, s], to=type(i64)} : i64[s, s]\n"
      "  %mask = greater_equal(%column, %row) : bool[s, s]"};
  for (const std::string& mask : masks) {
    const ir::Graph graph = run(causal(mask));
    EXPECT_FALSE(only(graph, "attention").attributes.has("causal")) << mask;
    EXPECT_EQ(only(graph, "attention").inputs.size(), 4u);
  }
}

TEST(RecoverAttention, InHalfPrecisionWithSoftmaxInFloat32) {
  const ir::Graph graph = checked(R"(
  input %q : f16[b, 4, s, 8]
  input %k : f16[b, 4, t, 8]
  input %v : f16[b, 4, t, 6]
  %product = matmul(%q, %k) {transpose_b=1} : f16[b, 4, s, t]
  %wide = cast(%product) {to=type(f32)} : f32[b, 4, s, t]
  %weights = softmax(%wide) {axis=3} : f32[b, 4, s, t]
  %half = cast(%weights) {to=type(f16)} : f16[b, 4, s, t]
  %y = matmul(%half, %v) : f16[b, 4, s, 6]
  return %y)",
                                  recover_attention, kSizes, 4e-3);
  EXPECT_EQ(ops_of(graph), "attention=1");
}

TEST(RecoverAttention, NearMissesAreLeft) {
  const std::string misses[] = {
      // along another axis
      replaced(kAdded, "{axis=3}", "{axis=2}"),
      // read by others
      replaced(kAdded, "return %y", "return %y, %weights"),
      replaced(kAdded, "return %y", "return %y, %product"),
      // a scale that is no number
      replaced(replaced(kAdded, "constant %c : f32[] = [2.5]", "input %c : f32[t]"),
               "div(%product, %divisor)", "mul(%product, %divisor)"),
      // a number that is not low
      replaced(kChosen, "[-inf]", "[-1]"),
      // -10000 for any columns: a row of which nothing is visible would differ
      replaced(kChosen, "[-inf]", "[-10000]"),
      // something else in between
      replaced(kAdded, "%weights = softmax(%masked)",
               "%other = tanh(%masked) : f32[b, 4, s, t]\n  %weights = softmax(%other)")};
  for (const std::string& body : misses) {
    EXPECT_EQ(ops_of(run(body)).find("attention"), std::string::npos) << body;
  }
}

}  // namespace
}  // namespace cleave::passes
