#include "planner/cut_candidates.h"

#include <algorithm>

namespace cleave::planner {
namespace {

using layout::Cut;
using layout::Factor;
using layout::FactorUse;
using layout::OperandFactors;
using layout::Segment;
using layout::ShardingRule;

// More cuts than these of one dimension are not tried.
constexpr size_t kMaxCuts = 4;
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

// How an op looks at a factor.
enum class Look : uint8_t {
  kWhole,  // as whole dimensions: it has no cut of its own to ask for
  kMinor,  // behind other factors of a dimension: one of several tensors that lie side by side
  kMajor,  // before other factors of a dimension, in grains, or shared: it asks for its own cut
};
Look look_at(const ir::Node& node, const ShardingRule& rule, uint32_t factor) {
  Look result = rule.factors[factor].grain.is(1) ? Look::kWhole : Look::kMajor;
  for_each_operand(node, rule, [&](ir::ValueId, const OperandFactors& operand) {
    for (const layout::DimFactors& dim : operand) {
      const auto at = std::find_if(dim.begin(), dim.end(),
                                   [&](const FactorUse& use) { return use.factor == factor; });
      if (at == dim.end()) continue;
      // Factors of 1 are in nobody's way.
      const auto is_long = [&](const FactorUse& use) {
        return !rule.factors[use.factor].size.is(1);
      };
      const bool minor = std::any_of(dim.begin(), at, is_long);
      const bool major = !minor && std::any_of(at + 1, dim.end(), is_long);
      if (major || at->divisor != 1) result = Look::kMajor;
      if (minor) result = std::max(result, Look::kMinor);
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
  seed_ = true;
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
  // Several segments of which none is shared out are no cut to ask for.
  if (cut.segments.size() > 1 && cut.whole_on_all(1)) return false;
  // What one op's window sees is no cut for others.
  if (cut.windowed()) return false;
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

// The parts that operands hold of a factor, in their order, with what a slice leaves out before and
// behind its own; none where they do not lie side by side.
std::vector<CutCandidates::Part> CutCandidates::parts_of(const ir::Node& node,
                                                         const ShardingRule& rule,
                                                         uint32_t factor) const {
  std::vector<Part> parts;
  Dim at;
  bool adjacent = true;
  for_each_operand(node, rule, [&](ir::ValueId value, const OperandFactors& operand) {
    for (size_t d = 0; d < operand.size(); ++d) {
      if (operand[d].size() != 1 || operand[d][0].factor != factor || !operand[d][0].extent) {
        continue;
      }
      const FactorUse& use = operand[d][0];
      if (use.begin != at) {
        adjacent &= parts.empty();
        parts.push_back({use.begin, false, nullptr});
      }
      parts.push_back({*use.extent, true, find(value, d)});
      at = use.begin + *use.extent;
    }
  });
  if (!adjacent) return {};
  const Dim rest = rule.factors[factor].size - at;
  if (!parts.empty() && !rest.is(0)) parts.push_back({rest, false, nullptr});
  return parts;
}

// The known cut of the part that shares it out as `other` does another part; nullopt where none
// does.
std::optional<Cut> CutCandidates::Part::cut_like(const Cut& other) const {
  if (known == nullptr) return std::nullopt;
  const std::vector<Dim> units = other.units();
  const auto alike = std::find_if(known->begin(), known->end(),
                                  [&](const Cut& cut) { return cut.units() == units; });
  return alike != known->end() ? std::optional(*alike) : std::nullopt;
}

// All of the part on every rank that has a unit of `other`, the cut of something larger; nullopt
// where it is not larger, or the number of units not known.
std::optional<Cut> CutCandidates::Part::held_like(const Cut& other) const {
  if ((other.extent() - extent).bounds({}).low <= 0) return std::nullopt;
  const std::vector<Dim> units = other.units();
  if (units.size() != 1 || !units[0].is_constant() || units[0].constant() < 1) return std::nullopt;
  return Cut({{extent, extent, units[0].constant()}});
}

// The cuts of a factor whose parts are the operands of a concat, split or slice: theirs, joined.
// Parts are shared out alike where they can be: who uses them together, as attention uses query
// heads and the key heads that they share, has one strategy for all.
CutCandidates::Cuts CutCandidates::join_parts(const ir::Node& node, const ShardingRule& rule,
                                              uint32_t factor) const {
  const std::vector<Part> parts = parts_of(node, rule, factor);
  const auto count = [](const Part& part) { return part.known ? part.known->size() : size_t{0}; };
  const auto leader =
      std::max_element(parts.begin(), parts.end(),
                       [&](const Part& a, const Part& b) { return count(a) < count(b); });
  if (leader == parts.end()) return {};
  Cuts leading;
  if (leader->known != nullptr) {
    leading = *leader->known;
  } else if (seed_ && std::all_of(parts.begin(), parts.end(), [](const Part& part) {
               return part.held && !part.extent.is(1);
             })) {
    leading = {Cut::even(leader->extent)};
  }
  Cuts result;
  for (const Cut& cut : leading) {
    std::vector<Cut> dealt;
    std::vector<Cut> held;  // what is not shared out alike is held by all
    for (auto part = parts.begin(); part != parts.end(); ++part) {
      const std::optional<Cut> alike = part == leader ? cut : part->cut_like(cut);
      const auto whole = part->held_like(cut);
      // One element cannot be shared out: the one key head of many query heads.
      const auto other = part->extent.is(1) && whole ? *whole
                         : part->known != nullptr    ? part->known->front()
                                                     : Cut::even(part->extent);
      dealt.push_back(alike.value_or(other));
      held.push_back(alike.value_or(part->known != nullptr ? whole.value_or(other) : other));
    }
    result.push_back(Cut::concat(dealt));
    if (held != dealt) result.push_back(Cut::concat(held));
  }
  return result;
}

// The joined cuts with what several ranks would hold cut evenly instead: to compute it once and to
// move it then may be cheaper. Parts are not asked for these: their readers need the others.
CutCandidates::Cuts CutCandidates::unshared(const ir::Node& node, const ShardingRule& rule,
                                            uint32_t factor) const {
  Cuts result;
  for (Cut cut : join_parts(node, rule, factor)) {
    if (!cut.shared()) continue;
    for (Segment& segment : cut.segments) {
      if (segment.group != 1 && !segment.extent.is(1)) segment = {segment.extent};
    }
    if (std::find(result.begin(), result.end(), cut) == result.end()) result.push_back(cut);
  }
  return result;
}

CutCandidates::Cuts CutCandidates::gather(ir::NodeId id, uint32_t factor) const {
  const ir::Node& node = graph_.node(id);
  const ShardingRule& rule = rules_[id.index()];
  Cuts cuts;
  const auto take = [&](const Cut& cut) {
    if (std::find(cuts.begin(), cuts.end(), cut) == cuts.end()) cuts.push_back(cut);
  };
  const auto is_one = [&](const FactorUse& use) { return rule.factors[use.factor].size.is(1); };
  for_each_operand(node, rule, [&](ir::ValueId value, const OperandFactors& operand) {
    for (size_t d = 0; d < operand.size(); ++d) {
      const Cuts* known = find(value, d);
      if (known == nullptr) continue;
      const bool has_one = std::any_of(operand[d].begin(), operand[d].end(), is_one);
      for (const Cut& cut : *known) {
        // What is not shared out is so for the factor of 1, not for those behind it.
        if (has_one && !rule.factors[factor].size.is(1) && cut.whole_on_all(1)) continue;
        if (const auto own = layout::factor_cut(rule, operand, d, factor, cut)) take(*own);
      }
    }
  });
  // What the parts are cut by comes first where it is asked for, last where it is a default.
  const Cuts of_operands = std::move(cuts);
  cuts.clear();
  const auto take_all = [&](const Cuts& from) { std::for_each(from.begin(), from.end(), take); };
  if (seed_) take_all(of_operands);
  take_all(join_parts(node, rule, factor));
  take_all(of_operands);
  // One element cannot be shared out, only held by several.
  if (rule.factors[factor].size.is(1)) {
    std::erase_if(cuts, [](const Cut& cut) { return !cut.shared(); });
    return cuts;
  }
  if (cuts.empty() && look_at(node, rule, factor) >= (seed_ ? Look::kMinor : Look::kMajor)) {
    cuts.push_back(Cut::even(rule.factors[factor].size, rule.factors[factor].grain));
  }
  if (cuts.size() > kMaxCuts) cuts.resize(kMaxCuts);
  return cuts;
}

bool CutCandidates::spread(ir::NodeId id) {
  const ir::Node& node = graph_.node(id);
  const ShardingRule& rule = rules_[id.index()];
  bool changed = false;
  const auto give = [&](uint32_t f, const Cut& cut, bool to_parts) {
    for_each_operand(node, rule, [&](ir::ValueId value, const OperandFactors& operand) {
      for (size_t d = 0; d < operand.size(); ++d) {
        const bool part = std::any_of(operand[d].begin(), operand[d].end(),
                                      [](const FactorUse& use) { return use.extent.has_value(); });
        if (part && !to_parts) continue;
        if (const auto own = layout::dim_cut(rule, operand, d, f, cut)) {
          changed |= add(value, d, *own);
        }
      }
    });
  };
  for (uint32_t f = 0; f < rule.factors.size(); ++f) {
    if (rule.factors[f].kind == Factor::Kind::kReplicate) continue;
    const Cuts once = unshared(node, rule, f);
    for (const Cut& cut : gather(id, f)) {
      give(f, cut, std::find(once.begin(), once.end(), cut) == once.end());
    }
    for (const Cut& cut : once) give(f, cut, false);
  }
  return changed;
}

std::vector<Cut> CutCandidates::of_factor(ir::NodeId id, uint32_t factor) const {
  const Factor& f = rules_[id.index()].factors[factor];
  if (f.kind == Factor::Kind::kReplicate) return {};
  Cuts cuts = gather(id, factor);
  if (cuts.empty() && !f.size.is(1)) cuts.push_back(Cut::even(f.size, f.grain));
  return cuts;
}

}  // namespace cleave::planner
