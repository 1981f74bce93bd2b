#include "layout/reshard.h"

#include <gtest/gtest.h>

#include "ops/registry.h"
#include "tests/ops_support/shards.h"
#include "tests/ops_support/tensors.h"

namespace cleave::layout {
namespace {

// A tensor with its sizes as expressions and as numbers.
struct Subject {
  TensorType type;
  SymbolValues symbols;
  HostTensor value;

  Subject(Shape shape, SymbolValues s) : type{DType::kFloat32, std::move(shape)}, symbols(s) {
    value = testing::random_integers(type.dtype, evaluate(type.shape, symbols), 7, -3, 3);
  }
};

// Every rank's part, carried along the steps of a path.
class Simulation {
 public:
  Simulation(const Subject& subject, const Placement& from, int64_t ranks)
      : subject_(subject), ranks_(ranks), registry_(ops::Registry::builtin()) {
    if (from.is_partial()) {
      parts_ = testing::terms_of(subject.value, from.reduce, ranks, 5);
      return;
    }
    for (int64_t rank = 0; rank < ranks; ++rank) {
      parts_.push_back(from.is_shard()
                           ? testing::shard_of(subject.value, static_cast<size_t>(from.dim),
                                               from.cut.evaluated(subject.symbols), rank, ranks)
                           : subject.value);
    }
  }

  // Runs a step that was made for one rank or for all, from placement `from` to `to`.
  void apply(const ReshardStep& step, const Placement& from, const Placement& to) {
    const ops::OpDefinition& op = registry_.at(step.op);
    const TensorType before = local_type(subject_.type, from, Dim::rank(), ranks_);
    const TensorType after = local_type(subject_.type, to, Dim::rank(), ranks_);
    std::vector<SizeGuard> guards;
    const std::vector<TensorType> inferred =
        op.infer_types({step.attributes, {&before, 1}, {}, {}, &guards});
    ASSERT_EQ(inferred.size(), 1u);
    EXPECT_EQ(inferred[0], after);
    EXPECT_TRUE(guards.empty()) << guards[0].where;
    std::vector<Attributes> attributes;
    std::vector<const HostTensor*> operands;
    for (int64_t rank = 0; rank < ranks_; ++rank) {
      attributes.push_back(step.attributes.evaluated(symbols(rank)));
      operands.push_back(&parts_[static_cast<size_t>(rank)]);
    }
    std::vector<HostTensor> results;
    if (op.is_collective()) {
      results = op.reference_ranks(attributes, operands);
    } else {
      for (size_t rank = 0; rank < operands.size(); ++rank) {
        results.emplace_back(after.dtype,
                             evaluate(after.shape, symbols(static_cast<int64_t>(rank))));
        op.reference(attributes[rank], {&operands[rank], 1}, {&results[rank], 1});
      }
    }
    parts_ = std::move(results);
  }

  void expect_whole(const Placement& placement) {
    const Placement numbers = placement.evaluated(subject_.symbols);
    std::vector<std::string> problems;
    const HostTensor whole = testing::assemble(numbers, parts_, subject_.value.shape, problems);
    EXPECT_TRUE(problems.empty()) << problems[0];
    EXPECT_EQ(testing::difference(whole, subject_.value), "");
  }

 private:
  SymbolValues symbols(int64_t rank) const {
    SymbolValues values = subject_.symbols;
    values[std::string(kRankSymbol)] = rank;
    return values;
  }

  const Subject& subject_;
  int64_t ranks_;
  ops::Registry registry_;
  std::vector<HostTensor> parts_;
};

// Every way between two of the placements gives the tensor back, for 1 to 5 ranks.
void check_all_pairs(const Subject& subject, const std::vector<Placement>& placements) {
  for (const Placement& from : placements) {
    for (const Placement& to : placements) {
      const auto way = reshard_placements(from, to);
      const bool possible = from == to || !to.is_partial() || to.reduce == ReduceOp::kSum;
      ASSERT_EQ(way.has_value(), possible) << from.text() << " to " << to.text();
      for (int64_t ranks = 1; ranks <= 5; ++ranks) {
        SCOPED_TRACE(from.text() + " to " + to.text() + " over " + std::to_string(ranks));
        const auto path = reshard_path(subject.type, from, to, ranks);
        ASSERT_EQ(path.has_value(), possible);
        if (!possible) continue;
        ASSERT_EQ(path->size() + 1, way->size());
        EXPECT_EQ(way->front(), from);
        EXPECT_EQ(way->back(), to);
        Simulation simulation(subject, from, ranks);
        for (size_t i = 0; i < path->size(); ++i) {
          simulation.apply((*path)[i], (*way)[i], (*way)[i + 1]);
        }
        simulation.expect_whole(to);
      }
    }
  }
}

const std::vector<Placement> kWholes = {
    Placement::replicate(), Placement::partial(ReduceOp::kSum), Placement::partial(ReduceOp::kMax),
    Placement::partial(ReduceOp::kMin), Placement::partial(ReduceOp::kProd)};

TEST(Reshard, AllPairsOfNumbers) {
  std::vector<Placement> placements = kWholes;
  placements.push_back(Placement::shard(0, Cut::even(7)));
  placements.push_back(Placement::shard(1, Cut::even(12)));
  placements.push_back(Placement::shard(1, Cut::even(12, 4)));  // empty shares
  placements.push_back(Placement::shard(1, Cut({{4, 1, 1}, {8, 2, 1}})));
  placements.push_back(Placement::shard(1, Cut({{12, 2, 3}})));   // grains that two ranks hold
  placements.push_back(Placement::shard(1, Cut({{12, 12, 5}})));  // one grain for all
  placements.push_back(Placement::shard(1, Cut({{6, 3, 2}, {6, 1, 1}})));
  placements.push_back(Placement::shard(2, Cut::even(1)));
  check_all_pairs(Subject({7, 12, 1}, {}), placements);
}

TEST(Reshard, AllPairsOfExpressions) {
  const Dim n = Dim::symbol("n");
  const Dim m = Dim::symbol("m");
  std::vector<Placement> placements = kWholes;
  placements.push_back(Placement::shard(0, Cut::even(n)));
  placements.push_back(Placement::shard(1, Cut::even(m * 4)));
  placements.push_back(Placement::shard(1, Cut::even(m * 4, m)));
  placements.push_back(Placement::shard(1, Cut({{m, 1, 1}, {m * 3, 3, 1}})));
  placements.push_back(Placement::shard(1, Cut({{m * 4, 2, 3}})));
  for (const SymbolValues& symbols :
       {SymbolValues{{"n", 5}, {"m", 3}}, {{"n", 0}, {"m", 1}}, {{"n", 1}, {"m", 0}}}) {
    // A cut in grains of nothing has no meaning.
    if (symbols.at("m") == 0) placements.erase(placements.begin() + kWholes.size() + 2);
    check_all_pairs(Subject({n, m * 4}, symbols), placements);
  }
}

TEST(Reshard, StepsAreTheCheapestOps) {
  const TensorType type{DType::kFloat32, {8, 4}};
  const Placement whole = Placement::replicate();
  const Placement rows = Placement::shard(0, Cut::even(8));
  const Placement columns = Placement::shard(1, Cut::even(4));
  const Placement pairs = Placement::shard(0, Cut::even(8, 2));
  const Placement sum = Placement::partial();
  const Placement largest = Placement::partial(ReduceOp::kMax);
  const auto steps = [&](const Placement& from, const Placement& to) {
    std::vector<std::string> ops;
    const auto path = reshard_path(type, from, to, 2);
    for (const ReshardStep& step : path.value()) ops.push_back(step.op);
    return ops;
  };
  using Ops = std::vector<std::string>;
  EXPECT_EQ(steps(rows, rows), Ops{});
  EXPECT_EQ(steps(whole, rows), Ops{"shard"});
  EXPECT_EQ(steps(rows, whole), Ops{"all_gather"});
  EXPECT_EQ(steps(sum, whole), Ops{"all_reduce"});
  EXPECT_EQ(steps(sum, columns), Ops{"reduce_scatter"});
  EXPECT_EQ(steps(rows, columns), Ops{"all_to_all"});
  EXPECT_EQ(steps(rows, pairs), Ops{"all_to_all"});
  EXPECT_EQ(steps(whole, sum), Ops{"rank_zero"});
  EXPECT_EQ(steps(rows, sum), (Ops{"all_gather", "rank_zero"}));
  EXPECT_EQ(steps(largest, sum), (Ops{"all_reduce", "rank_zero"}));
  EXPECT_FALSE(reshard_path(type, whole, largest, 2));
  EXPECT_FALSE(reshard_path(type, sum, largest, 2));
}

TEST(Reshard, StepsOfOneRankNameIt) {
  const TensorType type{DType::kFloat32, {8, 4}};
  const auto path =
      reshard_path(type, Placement::replicate(), Placement::shard(0, Cut::even(8)), 3, 2);
  ASSERT_TRUE(path);
  EXPECT_EQ((*path)[0].attributes.text(),
            "{axis=0, cut_extent=[8], cut_grain=[1], cut_group=[1], rank=2, ranks=3}");
}

}  // namespace
}  // namespace cleave::layout
