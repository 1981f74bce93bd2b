#include "ops/interpreter.h"

#include <gtest/gtest.h>

#include "ops/builder.h"
#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using testing::integers_of;
using testing::random_integers;
using testing::tensor;
using Values = std::vector<int64_t>;

const DType kF32 = DType::kFloat32;
const Dim n = Dim::symbol("n");

class InterpreterTest : public ::testing::Test {
 protected:
  // What interpreting throws.
  std::string error(const std::vector<HostTensor>& inputs) {
    try {
      interpret(graph, registry, inputs);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalid);
      return e.what();
    }
    return "";
  }

  Registry registry = Registry::builtin();
  ir::Graph graph;
  Builder builder{graph, registry};
};

TEST_F(InterpreterTest, RunsAGraphAtTheSizesOfItsInputs) {
  const ir::ValueId x = graph.add_input("x", {kF32, {n, 2}});
  const ir::ValueId sum = builder.add1("sum", "add", {}, {x, x});
  const ir::ValueId one = builder.broadcast(builder.scalar(kF32, 1), {n, 2});
  const ir::ValueId y = builder.add1("y", "sub", {}, {sum, one});
  graph.set_outputs({y, x});
  verify(graph, registry);
  const HostTensor input = tensor(kF32, {3, 2}, {0, 1, 2, 3, 4, 5});
  const auto outputs = interpret(graph, registry, {input});
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_EQ(integers_of(outputs[0]), (Values{-1, 1, 3, 5, 7, 9}));
  EXPECT_EQ(outputs[1], input);
  EXPECT_EQ(interpret(graph, registry, {HostTensor(kF32, {0, 2})})[0].shape, (Values{0, 2}));
}

TEST_F(InterpreterTest, RefusesInputsThatDoNotFit) {
  const ir::ValueId a = graph.add_input("a", {kF32, {n}});
  const ir::ValueId b = graph.add_input("b", {kF32, {n}});
  graph.set_outputs({builder.add1("c", "add", {}, {a, b})});
  const HostTensor three(kF32, {3});
  EXPECT_NE(error({three}).find("there are 1 inputs where the graph has 2"), std::string::npos);
  EXPECT_NE(error({three, HostTensor(kF32, {4})}).find("but n is 3 in another input"),
            std::string::npos);
  EXPECT_NE(error({three, HostTensor(DType::kInt32, {3})}).find("'b' is i32[3], expected f32[n]"),
            std::string::npos);
}

TEST_F(InterpreterTest, ChecksGuards) {
  const ir::ValueId a = graph.add_input("a", {kF32, {n}});
  const ir::ValueId b = graph.add_input("b", {kF32, {Dim::symbol("m")}});
  graph.set_outputs({builder.add1("c", "add", {}, {a, b})});
  ASSERT_EQ(graph.guards().size(), 1u);
  EXPECT_EQ(error({HostTensor(kF32, {3}), HostTensor(kF32, {3})}), "");
  EXPECT_NE(error({HostTensor(kF32, {3}), HostTensor(kF32, {4})})
                .find("the shapes do not fit: n is 3 and must be m, which is 4"),
            std::string::npos);
}

TEST_F(InterpreterTest, NamesTheNodeOfAnError) {
  const ir::ValueId x = graph.add_input("x", {kF32, {n}});
  graph.set_outputs({builder.add1(
      "cut", "slice", {{"begin", Shape{2}}, {"extent", Shape{2}}, {"step", Shape{1}}}, {x})});
  EXPECT_EQ(error({HostTensor(kF32, {4})}), "");
  EXPECT_NE(error({HostTensor(kF32, {3})}).find("at: slice 'cut'"), std::string::npos);
}

TEST_F(InterpreterTest, ReadsThePiecesOfLocalConstants) {
  HostTensor whole(kF32, {4, 6});
  for (int64_t i = 0; i < 24; ++i) whole.set(i, static_cast<double>(i));
  // Of two segments of 3 columns, rank 0 of 2 holds 1 each and rank 1 holds 2 each; rows 1 and 2.
  const layout::Cut cut({{3, 1, 1}, {3, 1, 1}});
  std::vector<ir::Value::Piece> columns;
  for (const layout::Piece& piece : cut.pieces(Dim::rank(), 2)) {
    columns.push_back({piece.begin, piece.extent});
  }
  const Dim width = cut.local_extent(Dim::rank(), 2);
  const ir::ValueId w = graph.add_local_constant("w", {kF32, {2, width}}, ir::constant_value(whole),
                                                 {{{1, 2}}, columns});
  graph.set_outputs({w});
  const auto results = interpret_ranks(graph, registry, {{}, {}}, {});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(integers_of(results[0][0]), (Values{6, 9, 12, 15}));
  EXPECT_EQ(integers_of(results[1][0]), (Values{7, 8, 10, 11, 13, 14, 16, 17}));
  graph.value(w).pieces[0][0].extent = 4;
  EXPECT_THROW(interpret_ranks(graph, registry, {{}, {}}, {}), Error);
}

// A column-split product, a row-split one, the sum of its terms and a bias on one rank only.
TEST_F(InterpreterTest, RunsALocalGraphOverAllRanks) {
  const int64_t ranks = 3;
  const HostTensor x = random_integers(kF32, {2, 4}, 1);
  const HostTensor up = random_integers(kF32, {4, 5}, 2);
  const HostTensor down = random_integers(kF32, {5, 4}, 3);
  const HostTensor bias = random_integers(kF32, {2, 4}, 4);

  const ir::ValueId input = graph.add_input("x", {kF32, {n, 4}});
  const ir::ValueId up_value = graph.add_constant("up", ir::constant_value(up));
  const ir::ValueId down_value = graph.add_constant("down", ir::constant_value(down));
  const ir::ValueId bias_value = graph.add_constant("bias", ir::constant_value(bias));
  const ir::ValueId hidden = builder.add1("hidden", "matmul", {}, {input, up_value});
  const ir::ValueId product = builder.add1("product", "matmul", {}, {hidden, down_value});
  graph.set_outputs({builder.add1("out", "add", {}, {product, bias_value})});
  const auto expected = interpret(graph, registry, {x});

  ir::Graph local;
  Builder b(local, registry);
  const layout::Cut cut = layout::Cut::even(5);
  std::vector<ir::Value::Piece> pieces;
  for (const layout::Piece& piece : cut.pieces(Dim::rank(), ranks)) {
    pieces.push_back({piece.begin, piece.extent});
  }
  const Dim width = cut.local_extent(Dim::rank(), ranks);
  const ir::ValueId in = local.add_input("x", {kF32, {n, 4}});
  const ir::ValueId up_local = local.add_local_constant("up", {kF32, {4, width}},
                                                        ir::constant_value(up), {{{0, 4}}, pieces});
  const ir::ValueId down_local = local.add_local_constant(
      "down", {kF32, {width, 4}}, ir::constant_value(down), {pieces, {{0, 4}}});
  const ir::ValueId bias_local = local.add_constant("bias", ir::constant_value(bias));
  const ir::ValueId term =
      b.add1("product", "matmul", {}, {b.add1("hidden", "matmul", {}, {in, up_local}), down_local});
  const ir::ValueId bias_term = b.add1("bias_term", "rank_zero", {}, {bias_local});
  const ir::ValueId out_term = b.add1("out_term", "add", {}, {term, bias_term});
  local.set_outputs(
      {b.add1("out", "all_reduce", {{"reduce", "sum"}, {"ranks", Dim(ranks)}}, {out_term})});
  verify(local, registry);
  const auto results = interpret_ranks(local, registry, {{x}, {x}, {x}}, {{"n", 2}});
  ASSERT_EQ(results.size(), 3u);
  for (const auto& outputs : results) {
    EXPECT_EQ(testing::difference(outputs[0], expected[0]), "");
  }
}

}  // namespace
}  // namespace cleave::ops
