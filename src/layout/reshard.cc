#include "layout/reshard.h"

#include <algorithm>

namespace cleave::layout {
namespace {

using Kind = Placement::Kind;

// The op between two placements that one op connects. A replicated tensor becomes terms of a sum by
// a step of its own.
ReshardStep step_between(const TensorType& whole, const Placement& from, const Placement& to,
                         int64_t ranks, const Dim& rank) {
  ReshardStep step;
  step.from = from;
  step.to = to;
  Attributes& attributes = step.attributes;
  attributes.set("rank", rank);
  step.op = step_op(from, to);
  if (to.is_partial()) return step;
  attributes.set("ranks", Dim(ranks));
  const auto set_cut = [&](const Placement& placement) {
    attributes.set("axis", Dim(placement.dim));
    placement.cut.to_attributes(attributes);
  };
  if (from.is_partial()) attributes.set("reduce", std::string(name_of(from.reduce)));
  switch (from.kind) {
    case Kind::kReplicate:
      set_cut(to);
      break;
    case Kind::kPartial:
      if (to.is_shard()) set_cut(to);
      break;
    case Kind::kShard:
      if (to.is_replicate()) {
        set_cut(from);
      } else {
        attributes.set("shape", whole.shape);
        attributes.set("from_axis", Dim(from.dim));
        from.cut.to_attributes(attributes, "from_");
        attributes.set("to_axis", Dim(to.dim));
        to.cut.to_attributes(attributes, "to_");
      }
      break;
  }
  return step;
}

}  // namespace

std::string_view step_op(const Placement& from, const Placement& to) {
  if (to.is_partial()) return "rank_zero";
  if (from.is_replicate()) return "shard";
  if (from.is_partial()) return to.is_shard() ? "reduce_scatter" : "all_reduce";
  return to.is_replicate() ? "all_gather" : "all_to_all";
}

std::optional<std::vector<Placement>> reshard_placements(const Placement& from,
                                                         const Placement& to) {
  if (from == to) return std::vector<Placement>{from};
  if (to.is_partial() && to.reduce != ReduceOp::kSum) return std::nullopt;
  if (from.is_shard() && from.cut.windowed()) return std::nullopt;
  if (to.is_partial() && !from.is_replicate()) {
    return std::vector<Placement>{from, Placement::replicate(), to};
  }
  return std::vector<Placement>{from, to};
}

std::optional<std::vector<ReshardStep>> reshard_path(const TensorType& whole, const Placement& from,
                                                     const Placement& to, int64_t ranks,
                                                     const Dim& rank) {
  const auto way = reshard_placements(from, to);
  if (!way) return std::nullopt;
  std::vector<ReshardStep> steps;
  for (size_t i = 1; i < way->size(); ++i) {
    steps.push_back(step_between(whole, (*way)[i - 1], (*way)[i], ranks, rank));
  }
  return steps;
}

bool is_local(const std::vector<ReshardStep>& steps) {
  return std::none_of(steps.begin(), steps.end(),
                      [](const ReshardStep& step) { return step.is_collective(); });
}

}  // namespace cleave::layout
