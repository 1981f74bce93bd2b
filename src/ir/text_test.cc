#include "ir/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/check.h"

namespace cleave::ir {
namespace {

const DType kF32 = DType::kFloat32;

// Each kind of line, as a person would write it.
constexpr std::string_view kGolden = R"(graph {
  symbol batch in [1, 64]
  input %x : f32[batch, 2]
  input %"mask 1" : bool[batch]
  constant %b : f32[2] = [0.5, -1]
  constant %w : f16[4, -floordiv(9*$rank, 2) + floordiv(9*$rank + 9, 2)] = pieces [[(0, 4)], [(floordiv(9*$rank, 2), -floordiv(9*$rank, 2) + floordiv(9*$rank + 9, 2))]] of f16[4, 9] = fill(1.5)
  constant %ids : i64[3] = [-9223372036854775808, 0, 9223372036854775807]
  %wide = broadcast(%b) {shape=[batch, 2]} : f32[batch, 2]  // widen it
  %y = add(%x, %wide) : f32[batch, 2] group 0  // /encoder/Add
  %lo, %hi = split(%y) {axis=1, sizes=[1, 1]} : f32[batch, 1], f32[batch, 1] group 12  // "quoted "
  () = trace(%lo, _)  // no result
  %z = if(%"mask 1") : f32[batch, 1]  // choice
    region {
      input %x : f32[batch, 1]
      return %x
    }
    region {
      constant %none : f32[0, 3] = []
      return %none
    }
  guard batch == 2*half  // the halves of x
  return %hi, %z
}
)";

TEST(GraphText, GoldenIsReadAndPrinted) {
  const Graph graph = parse_graph(kGolden);
  EXPECT_EQ(graph.inputs().size(), 2u);
  EXPECT_EQ(graph.bounds().at("batch"), (Interval{1, 64}));
  ASSERT_EQ(graph.order().size(), 5u);
  const Node& add = graph.node(graph.order()[1]);
  EXPECT_EQ(add.name, "/encoder/Add");
  EXPECT_EQ(add.group, 0);
  const Node& split = graph.node(graph.order()[2]);
  EXPECT_EQ(split.name, "quoted ");
  EXPECT_EQ(split.attributes.integers("sizes"), (std::vector<int64_t>{1, 1}));
  EXPECT_FALSE(graph.node(graph.order()[3]).inputs[1].valid());
  EXPECT_EQ(graph.node(graph.order()[4]).regions.size(), 2u);
  ASSERT_EQ(graph.guards().size(), 1u);
  EXPECT_EQ(graph.guards()[0].b, Dim::symbol("half") * 2);
  const Value& w = graph.value(*graph.find_value("w"));
  EXPECT_EQ(w.constant->fill(), 1.5);
  EXPECT_EQ(w.constant->shape(), (std::vector<int64_t>{4, 9}));
  EXPECT_EQ(w.pieces[1][0].begin.evaluate({{"$rank", 1}}), 4);
  EXPECT_EQ(to_text(graph), kGolden);
}

TEST(GraphText, FormatsOfResultsAreReadBack) {
  constexpr std::string_view kText = R"(graph {
  input %x : f32[2, 3, 4, 5]
  %a = relu(%x) : f32[2, 3, 4, 5] channels_last  // a
  %b = relu(%a) : f32[2, 3, 4, 5] heads_inside group 1  // b
  %c = relu(%b) : f32[2, 3, 4, 5]  // c
  return %c
}
)";
  const Graph graph = parse_graph(kText);
  EXPECT_EQ(graph.value(*graph.find_value("a")).format, Format::kChannelsLast);
  EXPECT_EQ(graph.value(*graph.find_value("b")).format, Format::kHeadsInside);
  EXPECT_EQ(graph.value(*graph.find_value("c")).format, Format::kRowMajor);
  EXPECT_EQ(to_text(graph), kText);
}

Graph constant_graph(HostTensor tensor) {
  Graph graph;
  graph.add_output(graph.add_constant("c", constant_value(std::move(tensor))));
  return graph;
}

TEST(GraphText, ValuesAreReadBackExactly) {
  HostTensor reals(kF32, {6});
  const double values[] = {0.1, -0.0, INFINITY, -INFINITY, 1e-42, 16777217};
  for (int64_t i = 0; i < 6; ++i) reals.set(i, values[i]);
  HostTensor large(DType::kUInt64, {1});
  large.data<uint64_t>()[0] = std::numeric_limits<uint64_t>::max();
  HostTensor flags(DType::kBool, {2});
  flags.set(1, 1);
  HostTensor half(DType::kBFloat16, {1});
  half.set(0, 3.14159);
  for (const HostTensor& tensor :
       {reals, large, flags, half, HostTensor(kF32, {}), HostTensor(kF32, {16})}) {
    const Graph graph = parse_graph(to_text(constant_graph(tensor)));
    ASSERT_NE(graph.value(graph.outputs()[0]).constant->value(), nullptr);
    EXPECT_EQ(*graph.value(graph.outputs()[0]).constant->value(), tensor);
  }
  HostTensor nan(kF32, {1});
  nan.set(0, NAN);
  const Graph graph = parse_graph(to_text(constant_graph(nan)));
  EXPECT_TRUE(std::isnan(graph.value(graph.outputs()[0]).constant->value()->get(0)));
}

TEST(GraphText, LargeConstantsAreFoundByIdentity) {
  const Graph graph = constant_graph(HostTensor(kF32, {17}));
  const std::string text = to_text(graph);
  EXPECT_NE(text.find("constant %c : f32[17] = #"), std::string::npos);
  EXPECT_THROW(parse_graph(text), Error);
  const Graph again = parse_graph(text, constants_of(graph));
  EXPECT_EQ(again.value(again.outputs()[0]).constant, graph.value(graph.outputs()[0]).constant);
  EXPECT_EQ(to_text(again), text);
  std::string other = text;
  other.replace(other.find("f32[17]"), 7, "f32[18]");
  EXPECT_THROW(parse_graph(other, constants_of(graph)), Error);
}

TEST(GraphText, StrangeNamesAreReadBack) {
  for (const std::string name :
       {"a b",   "",       "_", "\"",    "\\",    "\\n", "a\nb", "x, y", "//",     "a//b",
        " lead", "trail ", "%", "größe", "tab\t", "a\r", "#2",   "{}",   "return", "() = f()"}) {
    Graph graph;
    const ValueId x = graph.add_input(name, {kF32, {2}});
    const NodeId node = graph.add_node(name, name, {}, {x}, {{kF32, {2}}}, {name + "y"});
    graph.guards().push_back({2, Dim::symbol("a/b"), name});
    graph.add_output(graph.node(node).outputs[0]);
    if (graph.node(node).op.empty()) graph.node(node).op = "op";
    const Graph again = parse_graph(to_text(graph));
    EXPECT_EQ(to_text(again), to_text(graph));
    EXPECT_EQ(again.value(again.inputs()[0]).name, graph.value(x).name);
    EXPECT_EQ(again.node(again.order()[0]).name, graph.node(node).name);
    EXPECT_EQ(again.node(again.order()[0]).op, graph.node(node).op);
    EXPECT_EQ(again.guards(), graph.guards());
  }
}

std::string error_of(const std::string& text) {
  try {
    parse_graph(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    return error.message() + " (" + (error.places().empty() ? "" : error.places()[0]) + ")";
  }
  return "";
}

std::string error_in_body(const std::string& body) {
  return error_of("graph {\n  input %x : f32[2]\n" + body + "\n  return %x\n}\n");
}

TEST(GraphText, ErrorsNameTheLine) {
  EXPECT_EQ(error_in_body(""), "");
  EXPECT_EQ(error_in_body("  %y = exp(%z) : f32[2]  // y"),
            "there is no value 'z' before this line (line 3)");
  EXPECT_EQ(error_in_body("  %x = exp(%x) : f32[2]  // y"), "there are two values 'x' (line 3)");
  EXPECT_EQ(error_in_body("  %y = exp(%x) : f33[2]  // y"),
            "there is no element type 'f33' (line 3)");
  EXPECT_EQ(error_in_body("  %y, %z = exp(%x) : f32[2]  // y"),
            "a node has another number of types than results (line 3)");
  EXPECT_EQ(error_in_body("  %y = exp(%x) : f32[2]  // n\n  %z = exp(%x) : f32[2]  // n"),
            "there are two nodes 'n' (line 4)");
  EXPECT_EQ(error_in_body("  constant %c : f32[3] = [1, 2]"),
            "there are 2 values for 3 elements (line 3)");
  EXPECT_EQ(error_in_body("  constant %c : u8[1] = [256]"),
            "a value does not fit its type (line 3)");
  EXPECT_EQ(error_in_body("  constant %c : f32[n] = [1]"),
            "the shape of a constant is no list of sizes: f32[n] (line 3)");
  EXPECT_EQ(error_in_body("  region {\n  return\n  }"), "a region without a node (line 3)");
  EXPECT_NE(error_in_body("  constant %c : f32[4294967296, 4294967296] = fill(0)"), "");
  EXPECT_NE(error_in_body("  constant %c : f32[4294967296, 4294967296, 0] = []"), "");
  EXPECT_NE(error_in_body("  %y = exp(%x) : f32[2]"), "");
  EXPECT_NE(error_in_body("  %y = exp(%x) {a=} : f32[2]  // n"), "");
  EXPECT_NE(error_in_body("  symbol n in [2, 1]"), "");
  EXPECT_NE(error_in_body("  guard a = b  // c"), "");
  EXPECT_EQ(error_of("graph {\n"), "the text ends inside of a graph (line 1)");
  EXPECT_EQ(error_of("graph {\n return\n}\nmore"), "text behind the graph (line 4)");
  EXPECT_NE(error_of(""), "");
}

TEST(GraphText, DeepRegionsAreRefused) {
  std::string text = "graph {\n";
  for (int i = 0; i < 100000; ++i) text += "() = f()  // n\nregion {\n";
  EXPECT_NE(error_of(text).find("regions are nested too deeply"), std::string::npos);
}

// Damaged text is refused or read, never anything worse.
TEST(GraphText, DamagedTextIsAnErrorAtWorst) {
  std::mt19937_64 random(1);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text(kGolden);
    for (int changes = 1 + static_cast<int>(random() % 4); changes > 0; --changes) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, 1 + random() % 8);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 12));
      }
    }
    try {
      const std::string printed = to_text(parse_graph(text));
      EXPECT_EQ(to_text(parse_graph(printed)), printed);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid) << text;
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace cleave::ir
