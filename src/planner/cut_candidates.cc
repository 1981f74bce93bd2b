#include "planner/cut_candidates.h"

#include <algorithm>

namespace cleave::planner {
namespace {

using layout::Cut;
using layout::Factor;
using layout::FactorUse;
using layout::OperandFactors;
using layout::ShardingRule;

// More cuts than these of one dimension are not tried.
constexpr size_t kMaxCuts = 3;
// Rounds of carrying cuts through the graph: each passes all nodes forwards and backwards.
constexpr int kMaxRounds = 8;

// Calls f(value, operand factors) for each operand of the node that is there.
template <class F>
void for_each_operand(const ir::Node& node, const ShardingRule& rule, F&& f) {
  for (size_t i = 0; i < node.inputs.size() && i < rule.inputs.size(); ++i) {
    if (node.inputs[i].valid()) f(node.inputs[i], rule.inputs[i]);
  }
  for (size_t i = 0; i < node.outputs.size() && i < rule.outputs.size(); ++i) {
    f(node.outputs[i], rule.outputs[i]);
  }
}

// True where an op looks at `factor` in another way than as a whole dimension, so that it has its
// own cut to ask for.
bool originates(const ir::Node& node, const ShardingRule& rule, uint32_t factor) {
  if (!rule.factors[factor].grain.is(1)) return true;
  bool result = false;
  for_each_operand(node, rule, [&](ir::ValueId, const OperandFactors& operand) {
    for (const layout::DimFactors& dim : operand) {
      for (const FactorUse& use : dim) {
        if (use.factor == factor && (use.divisor != 1 || dim.size() > 1)) result = true;
      }
    }
  });
  return result;
}

}  // namespace

CutCandidates::CutCandidates(const ir::Graph& graph, const std::vector<ShardingRule>& rules)
    : graph_(graph), rules_(rules), cuts_(graph.value_count()) {
  for (size_t i = 0; i < cuts_.size(); ++i) {
    cuts_[i].resize(graph.value(ir::ValueId(i)).type.rank());
  }
  // First what ops ask for; then tensors that are joined or split and that no op asked anything of
  // are cut evenly part by part.
  spread_all();
  seed_parts_ = true;
  spread_all();
}

void CutCandidates::spread_all() {
  const std::vector<ir::NodeId> order = graph_.order();
  for (int round = 0; round < kMaxRounds; ++round) {
    bool changed = false;
    for (ir::NodeId node : order) changed |= spread(node);
    for (size_t i = order.size(); i-- > 0;) changed |= spread(order[i]);
    if (!changed) return;
  }
}

bool CutCandidates::add(ir::ValueId value, size_t dim, const Cut& cut) {
  Cuts& cuts = cuts_[value.index()][dim];
  if (cuts.size() >= kMaxCuts || std::find(cuts.begin(), cuts.end(), cut) != cuts.end()) {
    return false;
  }
  cuts.push_back(cut);
  return true;
}

const CutCandidates::Cuts* CutCandidates::find(ir::ValueId value, size_t dim) const {
  const Cuts& cuts = cuts_[value.index()][dim];
  return cuts.empty() ? nullptr : &cuts;
}

// The cut of a factor whose parts are the operands of a concat or split: theirs, joined.
std::optional<Cut> CutCandidates::join_parts(const ir::Node& node, const ShardingRule& rule,
                                             uint32_t factor) const {
  struct Part {
    Dim begin;
    Cut cut;
  };
  std::vector<Part> parts;
  bool known = false;
  for_each_operand(node, rule, [&](ir::ValueId value, const OperandFactors& operand) {
    for (size_t d = 0; d < operand.size(); ++d) {
      if (operand[d].size() != 1 || operand[d][0].factor != factor || !operand[d][0].extent) {
        continue;
      }
      const Cuts* cuts = find(value, d);
      known |= cuts != nullptr;
      parts.push_back({operand[d][0].begin,
                       cuts != nullptr ? cuts->front() : Cut::even(*operand[d][0].extent)});
    }
  });
  if (parts.empty() || (!known && !seed_parts_)) return std::nullopt;
  // Parts are operands in their order; each begins where the one before it ends.
  std::vector<Cut> cuts;
  Dim at;
  for (const Part& part : parts) {
    if (part.begin != at) return std::nullopt;
    at += part.cut.extent();
    cuts.push_back(part.cut);
  }
  if (at != rule.factors[factor].size) return std::nullopt;
  return Cut::concat(cuts);
}

CutCandidates::Cuts CutCandidates::gather(ir::NodeId id, uint32_t factor) const {
  const ir::Node& node = graph_.node(id);
  const ShardingRule& rule = rules_[id.index()];
  Cuts cuts;
  const auto take = [&](const Cut& cut) {
    if (std::find(cuts.begin(), cuts.end(), cut) == cuts.end()) cuts.push_back(cut);
  };
  for_each_operand(node, rule, [&](ir::ValueId value, const OperandFactors& operand) {
    for (size_t d = 0; d < operand.size(); ++d) {
      const Cuts* known = find(value, d);
      if (known == nullptr) continue;
      for (const Cut& cut : *known) {
        if (const auto own = layout::factor_cut(rule, operand, d, factor, cut)) take(*own);
      }
    }
  });
  // What the parts are cut by comes first where it is asked for, last where it is a default.
  if (const auto joined = join_parts(node, rule, factor)) {
    if (std::find(cuts.begin(), cuts.end(), *joined) == cuts.end()) {
      cuts.insert(seed_parts_ ? cuts.end() : cuts.begin(), *joined);
    }
  }
  if (cuts.empty() && originates(node, rule, factor)) {
    cuts.push_back(Cut::even(rule.factors[factor].size, rule.factors[factor].grain));
  }
  if (cuts.size() > kMaxCuts) cuts.resize(kMaxCuts);
  return cuts;
}

bool CutCandidates::spread(ir::NodeId id) {
  const ir::Node& node = graph_.node(id);
  const ShardingRule& rule = rules_[id.index()];
  bool changed = false;
  for (uint32_t f = 0; f < rule.factors.size(); ++f) {
    if (rule.factors[f].kind == Factor::Kind::kReplicate) continue;
    for (const Cut& cut : gather(id, f)) {
      for_each_operand(node, rule, [&](ir::ValueId value, const OperandFactors& operand) {
        for (size_t d = 0; d < operand.size(); ++d) {
          if (const auto own = layout::dim_cut(rule, operand, d, f, cut)) {
            changed |= add(value, d, *own);
          }
        }
      });
    }
  }
  return changed;
}

std::vector<Cut> CutCandidates::of_factor(ir::NodeId id, uint32_t factor) const {
  const Factor& f = rules_[id.index()].factors[factor];
  if (f.kind == Factor::Kind::kReplicate) return {};
  Cuts cuts = gather(id, factor);
  if (cuts.empty()) cuts.push_back(Cut::even(f.size, f.grain));
  return cuts;
}

}  // namespace cleave::planner
