#include "layout/sharding_rule.h"

#include <algorithm>

#include "base/check.h"

namespace cleave::layout {
namespace {

// A dimension is cut in no more segments than these times those of the factor's own cut.
constexpr int64_t kMostRepeats = 8;

// How a dimension runs along a factor: `lead` times over, in steps of `minor` elements.
struct Position {
  FactorUse use;
  int64_t lead = 1;
  Dim minor = 1;
};

// nullopt where the dimension does not run along `factor`, or where the factors before it have no
// constant and small size: each of their elements is a segment with a piece for every rank.
std::optional<Position> position_of(const ShardingRule& rule, const DimFactors& factors,
                                    uint32_t factor) {
  Position position;
  size_t at = 0;
  for (; at < factors.size() && factors[at].factor != factor; ++at) {
    const Dim& size = rule.factors[factors[at].factor].size;
    if (!size.is_constant() || size.constant() < 1) return std::nullopt;
    if (factors[at].extent || factors[at].divisor != 1) return std::nullopt;
    if (size.constant() > kMostRepeats / position.lead) return std::nullopt;
    position.lead *= size.constant();
  }
  if (at == factors.size()) return std::nullopt;
  position.use = factors[at];
  for (size_t i = at + 1; i < factors.size(); ++i) {
    position.minor *= rule.factors[factors[i].factor].size;
  }
  return position;
}

// What the shares of a window's outputs see.
std::optional<Cut> windowed(const WindowUse& use, const Cut& outputs) {
  if (outputs.segments.size() != 1 || outputs.shared()) return std::nullopt;
  const Window window{outputs.segments[0].extent, use.stride, use.before, use.size, use.divisor};
  return Cut({{use.extent, outputs.segments[0].grain, 1, window}});
}

// The outputs whose shares see what the cut holds.
std::optional<Cut> window_outputs(const WindowUse& use, const Cut& cut) {
  if (cut.segments.size() != 1 || !cut.segments[0].window) return std::nullopt;
  const Cut outputs({{cut.segments[0].window->outputs, cut.segments[0].grain}});
  return windowed(use, outputs) == cut ? std::optional(outputs) : std::nullopt;
}

bool uses(const DimFactors& factors, uint32_t factor) {
  return std::any_of(factors.begin(), factors.end(),
                     [&](const FactorUse& use) { return use.factor == factor; });
}

// The cut of a factor with `divisor` units an element of the dimension.
std::optional<Cut> grouped(Cut cut, int64_t divisor) {
  if (divisor == 1) return cut;
  for (Segment& segment : cut.segments) {
    if (segment.group != 1 || !segment.grain.is_constant()) return std::nullopt;
    const int64_t grain = segment.grain.constant();
    const auto extent = exact_div(segment.extent, divisor);
    if (!extent) return std::nullopt;
    segment.extent = *extent;
    if (grain % divisor == 0) {
      segment.grain = grain / divisor;
    } else if (divisor % grain == 0) {
      segment.grain = 1;
      segment.group = divisor / grain;
    } else {
      return std::nullopt;
    }
  }
  return cut;
}

std::optional<Cut> ungrouped(Cut cut, int64_t divisor) {
  if (divisor == 1) return cut;
  for (Segment& segment : cut.segments) {
    // A dimension cut in whole grains deals out whole groups; a grouped one deals out units.
    segment.extent *= divisor;
    segment.grain *= divisor;
    if (segment.group != 1) {
      const auto grain = exact_div(segment.grain, segment.group);
      if (!grain) return std::nullopt;
      segment.grain = *grain;
      segment.group = 1;
    }
  }
  return cut;
}

}  // namespace

uint32_t ShardingRule::add_factor(std::string name, Dim size, Factor::Kind kind, ReduceOp reduce,
                                  Dim grain) {
  factors.push_back({std::move(name), std::move(size), kind, reduce, std::move(grain)});
  return static_cast<uint32_t>(factors.size() - 1);
}

std::string ShardingRule::text() const {
  const auto operand = [&](const OperandFactors& dims) {
    std::string out;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (i) out += " ";
      if (dims[i].empty()) out += "1";
      for (size_t j = 0; j < dims[i].size(); ++j) {
        if (j) out += ".";
        out += factors[dims[i][j].factor].name;
        if (dims[i][j].divisor != 1) out += "/" + std::to_string(dims[i][j].divisor);
      }
    }
    return out;
  };
  std::string out;
  for (size_t i = 0; i < inputs.size(); ++i) out += (i ? ", " : "") + operand(inputs[i]);
  out += " -> ";
  for (size_t i = 0; i < outputs.size(); ++i) out += (i ? ", " : "") + operand(outputs[i]);
  for (const Factor& factor : factors) {
    if (factor.kind == Factor::Kind::kReduction) {
      out += "; " + std::string(name_of(factor.reduce)) + " " + factor.name;
    }
    if (factor.kind == Factor::Kind::kReplicate) out += "; whole " + factor.name;
  }
  return out;
}

std::string text_of(const Strategy& strategy, const ShardingRule& rule) {
  switch (strategy.kind) {
    case Strategy::Kind::kWhole:
      return "whole";
    case Strategy::Kind::kLinear:
      return "partial";
    case Strategy::Kind::kFactor: {
      const Factor& factor = rule.factors.at(strategy.factor);
      if (strategy.cut == Cut::even(factor.size, factor.grain)) return factor.name;
      return factor.name + "[" + strategy.cut.text() + "]";
    }
  }
  return "?";
}

std::optional<Cut> dim_cut(const ShardingRule& rule, const OperandFactors& operand, size_t dim,
                           uint32_t factor, const Cut& factor_cut) {
  const auto position = position_of(rule, operand.at(dim), factor);
  if (!position) return std::nullopt;
  if (position->use.window) return windowed(*position->use.window, factor_cut);
  std::optional<Cut> cut = factor_cut;
  if (position->use.extent) cut = factor_cut.part(position->use.begin, *position->use.extent);
  if (cut) cut = grouped(*cut, position->use.divisor);
  if (!cut) return std::nullopt;
  return cut->scaled(position->minor).repeated(position->lead);
}

std::optional<Cut> factor_cut(const ShardingRule& rule, const OperandFactors& operand, size_t dim,
                              uint32_t factor, const Cut& dim_cut) {
  const auto position = position_of(rule, operand.at(dim), factor);
  // A part of a factor says nothing of the rest: concat and split join their operands' cuts.
  if (!position || position->use.extent) return std::nullopt;
  if (position->use.window) return window_outputs(*position->use.window, dim_cut);
  // What a window sees is no way to share out an op of its own.
  if (dim_cut.windowed()) return std::nullopt;
  const auto period = dim_cut.period(position->lead);
  const auto cut = period ? period->divided(position->minor) : std::nullopt;
  if (!cut) return std::nullopt;
  const auto whole = ungrouped(*cut, position->use.divisor);
  if (!whole || whole->extent() != rule.factors[factor].size) return std::nullopt;
  for (const Segment& segment : whole->segments) {
    if (!exact_div(segment.grain, rule.factors[factor].grain)) return std::nullopt;
  }
  return whole;
}

bool replicates_all(const OperandPlacements& placements) {
  const auto whole = [](const Placement& placement) { return placement.is_replicate(); };
  return std::all_of(placements.inputs.begin(), placements.inputs.end(), whole) &&
         std::all_of(placements.outputs.begin(), placements.outputs.end(), whole);
}

std::optional<OperandPlacements> placements(const ShardingRule& rule, const Strategy& strategy) {
  OperandPlacements result;
  result.inputs.resize(rule.inputs.size());
  result.outputs.resize(rule.outputs.size());
  if (strategy.kind == Strategy::Kind::kWhole) return result;
  if (strategy.kind == Strategy::Kind::kLinear) {
    if (strategy.linear >= rule.linear.size()) return std::nullopt;
    const LinearSet& set = rule.linear[strategy.linear];
    for (uint32_t operand : set.operands) {
      result.inputs.at(operand) = Placement::partial(set.reduce);
    }
    for (Placement& output : result.outputs) output = Placement::partial(set.reduce);
    return result;
  }
  if (strategy.factor >= rule.factors.size()) return std::nullopt;
  const Factor& factor = rule.factors[strategy.factor];
  if (factor.kind == Factor::Kind::kReplicate) return std::nullopt;
  if (strategy.cut.extent() != factor.size) return std::nullopt;
  if (factor.contiguous && strategy.cut.segments.size() != 1) return std::nullopt;
  for (const Segment& segment : strategy.cut.segments) {
    if (!exact_div(segment.grain, factor.grain)) return std::nullopt;
  }
  // An operand is sharded along the one dimension that runs along the factor.
  const auto place = [&](const OperandFactors& operand, Placement& placement) {
    for (size_t d = 0; d < operand.size(); ++d) {
      if (!uses(operand[d], strategy.factor)) continue;
      if (placement.is_shard()) return false;  // a diagonal: two dimensions along one factor
      const auto cut = dim_cut(rule, operand, d, strategy.factor, strategy.cut);
      if (!cut) return false;
      placement = Placement::shard(static_cast<int32_t>(d), *cut);
    }
    return true;
  };
  for (size_t i = 0; i < rule.inputs.size(); ++i) {
    if (!place(rule.inputs[i], result.inputs[i])) return std::nullopt;
  }
  for (size_t i = 0; i < rule.outputs.size(); ++i) {
    if (!place(rule.outputs[i], result.outputs[i])) return std::nullopt;
    if (result.outputs[i].is_shard()) continue;
    if (factor.kind != Factor::Kind::kReduction) return std::nullopt;
    // Elements held twice would enter the reduction twice.
    if (strategy.cut.shared()) return std::nullopt;
    result.outputs[i] = Placement::partial(factor.reduce);
  }
  return result;
}

std::optional<OperandPlacements> placements(const ShardingRule& rule, const Strategy& strategy,
                                            int64_t ranks) {
  auto result = placements(rule, strategy);
  if (!result) return result;
  for (std::vector<Placement>* list : {&result->inputs, &result->outputs}) {
    for (Placement& placement : *list) {
      if (placement.is_shard() && placement.cut.whole_on_all(ranks)) {
        placement = Placement::replicate();
      }
    }
  }
  return result;
}

}  // namespace cleave::layout
