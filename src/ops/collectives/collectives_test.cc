#include <gtest/gtest.h>

#include "tests/ops_support/tensors.h"

namespace cleave::ops {
namespace {

using layout::Cut;
using testing::inference_error;
using testing::tensor;
using testing::values_of;

TensorType f32(Shape shape) { return {DType::kFloat32, std::move(shape)}; }

Attributes with_cut(Attributes attributes, const Cut& cut, std::string_view prefix = "cut_") {
  cut.to_attributes(attributes, prefix);
  return attributes;
}

// What each rank ends with.
std::vector<HostTensor> run(std::string_view op, const Attributes& attributes,
                            const std::vector<HostTensor>& inputs) {
  const Registry registry = Registry::builtin();
  const OpDefinition& definition = registry.at(op);
  std::vector<Attributes> by_rank;
  std::vector<const HostTensor*> operands;
  for (size_t rank = 0; rank < inputs.size(); ++rank) {
    by_rank.push_back(
        attributes.evaluated({{std::string(kRankSymbol), static_cast<int64_t>(rank)}}));
    operands.push_back(&inputs[rank]);
  }
  return definition.reference_ranks(by_rank, operands);
}

TEST(AllReduce, CombinesInTheOrderOfRanks) {
  const auto terms = [](double a, double b, double c) {
    return std::vector<HostTensor>{tensor(DType::kFloat32, {1}, {a}),
                                   tensor(DType::kFloat32, {1}, {b}),
                                   tensor(DType::kFloat32, {1}, {c})};
  };
  const auto reduce = [&](const char* op, const std::vector<HostTensor>& inputs) {
    const auto results = run("all_reduce", {{"ranks", Dim(3)}, {"reduce", op}}, inputs);
    EXPECT_EQ(results.size(), 3u);
    EXPECT_EQ(results[0], results[2]);
    return results[1].get(0);
  };
  EXPECT_EQ(reduce("sum", terms(1e8, 1, -1e8)), 0);  // 1e8 + 1 is 1e8 in float32
  EXPECT_EQ(reduce("sum", terms(1e8, -1e8, 1)), 1);
  EXPECT_EQ(reduce("max", terms(1, 3, 2)), 3);
  EXPECT_EQ(reduce("min", terms(2, 3, 1)), 1);
  EXPECT_EQ(reduce("prod", terms(2, 3, 4)), 24);
}

TEST(AllReduce, HalfTypesAreSummedInFloat32) {
  const HostTensor one = tensor(DType::kFloat16, {1}, {1});
  const HostTensor large = tensor(DType::kFloat16, {1}, {2048});
  EXPECT_EQ(run("all_reduce", {{"ranks", Dim(3)}, {"reduce", "sum"}}, {large, one, one})[0].get(0),
            2050);
}

TEST(AllGather, JoinsPiecesOfSegments) {
  // Rank 0 holds {0} of the first segment and {3, 4} of the second, rank 1 the rest.
  const Cut cut({{3, 1, 1}, {4, 2, 1}});
  const Attributes attributes = with_cut({{"ranks", Dim(2)}, {"axis", Dim(0)}}, cut);
  const auto whole =
      run("all_gather", attributes,
          {tensor(DType::kFloat32, {3}, {0, 3, 4}), tensor(DType::kFloat32, {4}, {1, 2, 5, 6})});
  EXPECT_EQ(values_of(whole[0]), (std::vector<double>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(whole[0], whole[1]);
}

TEST(AllGather, SharedGrainsAndRanksWithoutAny) {
  // One grain for four ranks: every rank holds it.
  const HostTensor x = tensor(DType::kFloat32, {1, 2}, {3, 4});
  EXPECT_EQ(run("all_gather", with_cut({{"ranks", Dim(4)}, {"axis", Dim(1)}}, Cut({{2, 2, 4}})),
                {x, x, x, x})[3],
            x);
  const HostTensor none(DType::kFloat32, {1, 0});
  EXPECT_EQ(run("all_gather", with_cut({{"ranks", Dim(2)}, {"axis", Dim(1)}}, Cut({{2, 2, 1}})),
                {none, x})[0],
            x);
}

TEST(ReduceScatter, GivesEachRankItsPartOfTheSum) {
  const Attributes attributes =
      with_cut({{"ranks", Dim(2)}, {"axis", Dim(1)}, {"reduce", "sum"}}, Cut::even(3));
  const auto parts = run("reduce_scatter", attributes,
                         {tensor(DType::kFloat32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                          tensor(DType::kFloat32, {2, 3}, {10, 20, 30, 40, 50, 60})});
  EXPECT_EQ(values_of(parts[0]), (std::vector<double>{11, 44}));
  EXPECT_EQ(values_of(parts[1]), (std::vector<double>{22, 33, 55, 66}));
}

TEST(AllToAll, ChangesTheDimension) {
  Attributes attributes = {
      {"ranks", Dim(2)}, {"shape", Shape{2, 3}}, {"from_axis", Dim(0)}, {"to_axis", Dim(1)}};
  attributes = with_cut(with_cut(attributes, Cut::even(2), "from_"), Cut::even(3), "to_");
  const auto parts =
      run("all_to_all", attributes,
          {tensor(DType::kInt64, {1, 3}, {1, 2, 3}), tensor(DType::kInt64, {1, 3}, {4, 5, 6})});
  EXPECT_EQ(values_of(parts[0]), (std::vector<double>{1, 4}));
  EXPECT_EQ(values_of(parts[1]), (std::vector<double>{2, 3, 5, 6}));
}

TEST(Shard, TakesTheRanksPart) {
  const HostTensor x = tensor(DType::kFloat32, {5}, {1, 2, 3, 4, 5});
  const Attributes attributes =
      with_cut({{"ranks", Dim(2)}, {"axis", Dim(0)}, {"rank", Dim(1)}}, Cut::even(5));
  EXPECT_EQ(values_of(testing::run_reference("shard", attributes, {x})[0]),
            (std::vector<double>{3, 4, 5}));
}

TEST(Collectives, LocalTypesAreExpressionsOfTheRank) {
  const Dim n = Dim::symbol("n");
  const Cut cut = Cut::even(n);
  const Dim share = cut.local_extent(Dim::rank(), 4);
  const Attributes gather = with_cut({{"ranks", Dim(4)}, {"axis", Dim(1)}}, cut);
  EXPECT_EQ(testing::infer("all_gather", gather, {f32({2, share})})[0], f32({2, n}));
  EXPECT_EQ(testing::infer("shard", gather, {f32({2, n})})[0], f32({2, share}));
  Attributes third = gather;
  third.set("rank", Dim(3));
  EXPECT_EQ(testing::infer("shard", third, {f32({2, n})})[0], f32({2, cut.local_extent(3, 4)}));
  Attributes scatter = gather;
  scatter.set("reduce", "max");
  EXPECT_EQ(testing::infer("reduce_scatter", scatter, {f32({2, n})})[0], f32({2, share}));
}

TEST(Collectives, Errors) {
  const Attributes gather =
      with_cut({{"ranks", Dim(2)}, {"axis", Dim(0)}, {"rank", Dim(0)}}, Cut::even(5));
  EXPECT_EQ(inference_error("all_gather", gather, {f32({2})}), "");
  EXPECT_EQ(inference_error("all_gather", gather, {f32({3})}),
            "a rank's part of a tensor is f32[3], not f32[2]: 3 and 2 are not equal");
  EXPECT_NE(inference_error("shard", gather, {f32({6})}), "");
  Attributes wrong = gather;
  wrong.set("ranks", Dim(0));
  EXPECT_EQ(inference_error("all_gather", wrong, {f32({2})}), "a collective of 0 ranks");
  wrong = gather;
  wrong.set("axis", Dim(1));
  EXPECT_NE(inference_error("all_gather", wrong, {f32({2})}), "");
  EXPECT_EQ(inference_error("all_reduce", {{"ranks", Dim(2)}, {"reduce", "mean"}}, {f32({2})}),
            "there is no reduction 'mean'");
}

}  // namespace
}  // namespace cleave::ops
