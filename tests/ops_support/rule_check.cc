#include "tests/ops_support/rule_check.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/ops_support/shards.h"
#include "tests/ops_support/tensors.h"

namespace cleave::testing {
namespace {

using layout::Cut;
using layout::Factor;
using layout::OperandPlacements;
using layout::Placement;
using layout::Strategy;

// The boundaries of the parts that operands hold of a factor, as a cut with one segment a part;
// nullopt where no operand holds a part.
std::optional<Cut> cut_by_parts(const layout::ShardingRule& rule, uint32_t factor) {
  std::vector<layout::Piece> parts;
  const auto collect = [&](const std::vector<layout::OperandFactors>& operands) {
    for (const layout::OperandFactors& operand : operands) {
      for (const layout::DimFactors& dim : operand) {
        for (const layout::FactorUse& use : dim) {
          if (use.factor == factor && use.extent) parts.push_back({use.begin, *use.extent});
        }
      }
    }
  };
  collect(rule.inputs);
  collect(rule.outputs);
  if (parts.empty()) return std::nullopt;
  std::vector<Cut> cuts;
  Dim at;
  const auto reach = [&](const Dim& end) {
    if (end != at) cuts.push_back(Cut::even(end - at, rule.factors[factor].grain));
    at = end;
  };
  for (const layout::Piece& part : parts) {
    reach(part.begin);  // what no operand holds: a slice leaves gaps
    reach(part.begin + part.extent);
  }
  reach(rule.factors[factor].size);
  return Cut::concat(cuts);
}

// The cuts that a factor is tried with.
std::vector<Cut> cuts_of(const layout::ShardingRule& rule, uint32_t index) {
  const Factor& factor = rule.factors[index];
  std::vector<Cut> cuts;
  if (!exact_div(factor.size, factor.grain)) return cuts;
  cuts.push_back(Cut::even(factor.size, factor.grain));
  if (const auto by_parts = cut_by_parts(rule, index)) cuts.push_back(*by_parts);
  const auto grains = exact_div(factor.size, factor.grain);
  if (grains && grains->bounds({}).low >= 3) {
    cuts.push_back(
        Cut({{factor.grain, factor.grain, 1}, {factor.size - factor.grain, factor.grain, 1}}));
  }
  if (const auto coarse = exact_div(factor.size, factor.grain * 2)) {
    cuts.push_back(Cut::even(factor.size, factor.grain * 2));
  }
  // All of it on each of three ranks, and on three of four.
  if (!factor.size.is(0)) cuts.push_back(Cut({{factor.size, factor.size, 3}}));
  return cuts;
}

class RuleCheck {
 public:
  explicit RuleCheck(const RuleCase& c)
      : case_(c),
        registry_(ops::Registry::builtin()),
        definition_(registry_.at(c.op)),
        present_(std::make_unique<bool[]>(c.inputs.size())) {
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      present_[i] = c.inputs[i].has_value();
      if (!present_[i]) {
        types_.emplace_back();
        operands_.push_back(nullptr);
        continue;
      }
      const HostTensor& input = *c.inputs[i];
      const Shape numbers(input.shape.begin(), input.shape.end());
      types_.push_back({input.dtype, c.shapes.empty() ? numbers : c.shapes.at(i)});
      EXPECT_EQ(evaluate(types_.back().shape, c.symbols), input.shape) << "input " << i;
      operands_.push_back(&input);
    }
  }

  std::set<std::string> run() {
    outputs_ = definition_.infer_types(context());
    expected_ = reference(case_.attributes.evaluated(case_.symbols), operands_, outputs_, 0);
    rule_ = definition_.rule(context());
    EXPECT_EQ(rule_.inputs.size(), types_.size());
    EXPECT_EQ(rule_.outputs.size(), outputs_.size());
    check_sizes();
    std::set<std::string> done;
    for (int64_t ranks : case_.ranks) {
      check("whole", Strategy::whole(), ranks);
      for (uint32_t f = 0; f < rule_.factors.size(); ++f) {
        for (const Cut& cut : cuts_of(rule_, f)) {
          const Strategy strategy{Strategy::Kind::kFactor, f, cut, 0};
          if (check(rule_.factors[f].name, strategy, ranks)) done.insert(rule_.factors[f].name);
        }
      }
      for (uint32_t l = 0; l < rule_.linear.size(); ++l) {
        std::string name = "partial";
        for (uint32_t operand : rule_.linear[l].operands) name += " " + std::to_string(operand);
        if (rule_.linear[l].reduce != ReduceOp::kSum) {
          name += ":" + std::string(name_of(rule_.linear[l].reduce));
        }
        if (check(name, {Strategy::Kind::kLinear, 0, {}, l}, ranks)) done.insert(name);
      }
    }
    return done;
  }

 private:
  ops::OpContext context() const {
    return {case_.attributes, types_, {}, {present_.get(), types_.size()}};
  }

  // Every dimension of an operand is as long as its factors say.
  void check_sizes() const {
    const auto check_operand = [&](const layout::OperandFactors& operand, const TensorType& type,
                                   const std::string& what) {
      ASSERT_EQ(operand.size(), type.rank()) << what;
      for (size_t d = 0; d < operand.size(); ++d) {
        if (operand[d].empty()) continue;
        if (operand[d][0].window) {
          EXPECT_EQ(operand[d].size(), 1u) << what;
          EXPECT_EQ(operand[d][0].window->extent, type.shape[d]) << what;
          continue;
        }
        Dim size = 1;
        int64_t divisor = 1;
        for (const layout::FactorUse& use : operand[d]) {
          ASSERT_LT(use.factor, rule_.factors.size()) << what;
          size *= use.extent ? *use.extent : rule_.factors[use.factor].size;
          divisor *= use.divisor;
        }
        EXPECT_EQ(size.evaluate(case_.symbols), divisor * type.shape[d].evaluate(case_.symbols))
            << what << ", dimension " << d << " of rule " << rule_.text();
      }
    };
    for (size_t i = 0; i < types_.size(); ++i) {
      if (present_[i]) check_operand(rule_.inputs[i], types_[i], "input " + std::to_string(i));
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      check_operand(rule_.outputs[i], outputs_[i], "output " + std::to_string(i));
    }
  }

  SymbolValues symbols_of(int64_t rank) const {
    SymbolValues symbols = case_.symbols;
    symbols[std::string(kRankSymbol)] = rank;
    return symbols;
  }

  std::vector<HostTensor> reference(const Attributes& attributes,
                                    const std::vector<const HostTensor*>& inputs,
                                    const std::vector<TensorType>& types, int64_t rank) const {
    std::vector<HostTensor> outputs;
    for (const TensorType& type : types) {
      outputs.emplace_back(type.dtype, evaluate(type.shape, symbols_of(rank)));
    }
    definition_.reference(attributes, inputs, outputs);
    return outputs;
  }

  // Carries out one strategy; false where the rule says that it cannot be. What all ranks hold
  // whole is a shard, then replicated.
  bool check(const std::string& name, const Strategy& strategy, int64_t ranks) {
    const auto shards = layout::placements(rule_, strategy);
    if (!shards) return false;
    check_placed(name, strategy, *shards, ranks);
    const auto replicated = layout::placements(rule_, strategy, ranks);
    EXPECT_TRUE(replicated.has_value());
    const bool same = !replicated || (replicated->inputs == shards->inputs &&
                                      replicated->outputs == shards->outputs);
    if (!same) check_placed(name, strategy, *replicated, ranks);
    return true;
  }

  void check_placed(const std::string& name, const Strategy& strategy,
                    const OperandPlacements& placements, int64_t ranks) {
    SCOPED_TRACE(case_.op + case_.attributes.text() + " split by " + name + " [" +
                 strategy.cut.text() + "] over " + std::to_string(ranks) + " ranks, rule " +
                 rule_.text());
    // parts[i][r]: what rank r holds of input i.
    std::vector<std::vector<HostTensor>> parts(types_.size());
    for (size_t i = 0; i < types_.size(); ++i) {
      if (present_[i]) parts[i] = parts_of(i, placements.inputs[i], ranks);
    }
    for (bool symbolic : {false, true}) {
      std::vector<std::vector<HostTensor>> results(outputs_.size());
      for (int64_t rank = 0; rank < ranks; ++rank) {
        const Dim rank_dim = symbolic ? Dim::rank() : Dim(rank);
        std::vector<HostTensor> local =
            run_rank(strategy, placements, parts, rank_dim, rank, ranks);
        if (local.size() != outputs_.size()) return;  // has failed
        for (size_t i = 0; i < local.size(); ++i) results[i].push_back(std::move(local[i]));
      }
      for (size_t i = 0; i < outputs_.size(); ++i) {
        const Placement placement = placements.outputs[i].evaluated(case_.symbols);
        std::vector<std::string> problems;
        const HostTensor whole = assemble(placement, results[i], expected_[i].shape, problems);
        for (const std::string& problem : problems)
          ADD_FAILURE() << "output " << i << ": " << problem;
        EXPECT_EQ(difference(whole, expected_[i], case_.tolerance), "") << "output " << i;
      }
    }
  }

  std::vector<HostTensor> parts_of(size_t input, const Placement& placement, int64_t ranks) const {
    const HostTensor& whole = *operands_[input];
    if (placement.is_partial()) return terms_of(whole, placement.reduce, ranks, 17 + input);
    std::vector<HostTensor> parts;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      parts.push_back(placement.is_shard()
                          ? shard_of(whole, static_cast<size_t>(placement.dim),
                                     placement.cut.evaluated(case_.symbols), rank, ranks)
                          : whole);
    }
    return parts;
  }

  // One rank's results; none where its local types are wrong.
  std::vector<HostTensor> run_rank(const Strategy& strategy, const OperandPlacements& placements,
                                   const std::vector<std::vector<HostTensor>>& parts,
                                   const Dim& rank_dim, int64_t rank, int64_t ranks) const {
    std::vector<TensorType> local_inputs;
    std::vector<const HostTensor*> operands;
    for (size_t i = 0; i < types_.size(); ++i) {
      local_inputs.push_back(
          present_[i] ? layout::local_type(types_[i], placements.inputs[i], rank_dim, ranks)
                      : TensorType{});
      operands.push_back(present_[i] ? &parts[i][static_cast<size_t>(rank)] : nullptr);
    }
    std::vector<TensorType> local_outputs;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      local_outputs.push_back(
          layout::local_type(outputs_[i], placements.outputs[i], rank_dim, ranks));
    }
    const ops::OpContext whole = context();
    const Attributes local = definition_.localize({whole, outputs_, rule_, strategy, placements,
                                                   local_inputs, local_outputs, rank_dim, ranks});
    const std::vector<TensorType> inferred =
        definition_.infer_types({local, local_inputs, {}, {present_.get(), types_.size()}});
    EXPECT_EQ(inferred.size(), local_outputs.size());
    if (inferred.size() != local_outputs.size()) return {};
    for (size_t i = 0; i < inferred.size(); ++i) {
      const std::vector<int64_t> shape = evaluate(inferred[i].shape, symbols_of(rank));
      const std::vector<int64_t> expected = evaluate(local_outputs[i].shape, symbols_of(rank));
      EXPECT_EQ(shape, expected) << "local type of output " << i << " on rank " << rank;
      EXPECT_EQ(inferred[i].dtype, local_outputs[i].dtype);
      if (shape != expected) return {};
    }
    return reference(local.evaluated(symbols_of(rank)), operands, local_outputs, rank);
  }

  const RuleCase& case_;
  ops::Registry registry_;
  const ops::OpDefinition& definition_;
  std::unique_ptr<bool[]> present_;
  std::vector<TensorType> types_;
  std::vector<const HostTensor*> operands_;
  std::vector<TensorType> outputs_;
  std::vector<HostTensor> expected_;
  layout::ShardingRule rule_;
};

}  // namespace

std::set<std::string> check_rules(const RuleCase& rule_case) {
  SCOPED_TRACE(rule_case.op + rule_case.attributes.text());
  return RuleCheck(rule_case).run();
}

}  // namespace cleave::testing
