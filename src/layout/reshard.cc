#include "layout/reshard.h"

#include <algorithm>

namespace cleave::layout {
namespace {

std::vector<Dim> extents(const Cut& cut) {
  std::vector<Dim> result;
  for (const Segment& segment : cut.segments) result.push_back(segment.extent);
  return result;
}

std::vector<Dim> grains(const Cut& cut) {
  std::vector<Dim> result;
  for (const Segment& segment : cut.segments) result.push_back(segment.grain);
  return result;
}

std::vector<Dim> groups(const Cut& cut) {
  std::vector<Dim> result;
  for (const Segment& segment : cut.segments) result.push_back(segment.group);
  return result;
}

// `all_gather`, `reduce_scatter` and `shard` run along one dimension with one cut.
ReshardStep along(std::string op, const Placement& shard, const Placement& from,
                  const Placement& to, int64_t ranks) {
  ReshardStep step{std::move(op), {}, from, to};
  step.attributes.set("axis", Dim(static_cast<int64_t>(shard.dim)));
  step.attributes.set("ranks", Dim(ranks));
  shard.cut.to_attributes(step.attributes);
  if (step.op == "shard") step.attributes.set("rank", Dim::rank());
  if (step.op == "reduce_scatter") {
    step.attributes.set("reduce", std::string(name_of(from.reduce)));
  }
  return step;
}

ReshardStep all_reduce(const Placement& from, int64_t ranks) {
  ReshardStep step{"all_reduce", {}, from, Placement::replicate()};
  step.attributes.set("reduce", std::string(name_of(from.reduce)));
  step.attributes.set("ranks", Dim(ranks));
  return step;
}

ReshardStep all_to_all(const TensorType& whole, const Placement& from, const Placement& to,
                       int64_t ranks) {
  ReshardStep step{"all_to_all", {}, from, to};
  step.attributes.set("shape", whole.shape);
  step.attributes.set("ranks", Dim(ranks));
  step.attributes.set("from_axis", Dim(static_cast<int64_t>(from.dim)));
  step.attributes.set("from_extent", extents(from.cut));
  step.attributes.set("from_grain", grains(from.cut));
  step.attributes.set("from_group", groups(from.cut));
  step.attributes.set("to_axis", Dim(static_cast<int64_t>(to.dim)));
  step.attributes.set("to_extent", extents(to.cut));
  step.attributes.set("to_grain", grains(to.cut));
  step.attributes.set("to_group", groups(to.cut));
  return step;
}

}  // namespace

std::optional<std::vector<ReshardStep>> reshard_path(const TensorType& whole, const Placement& from,
                                                     const Placement& to, int64_t ranks) {
  std::vector<ReshardStep> steps;
  if (from == to) return steps;
  if (to.is_partial() && to.reduce != ReduceOp::kSum) return std::nullopt;
  if (from.is_shard() && to.is_shard()) {
    steps.push_back(all_to_all(whole, from, to, ranks));
    return steps;
  }
  if (from.is_partial() && to.is_shard()) {
    steps.push_back(along("reduce_scatter", to, from, to, ranks));
    return steps;
  }
  if (from.is_partial()) steps.push_back(all_reduce(from, ranks));
  if (from.is_shard()) {
    steps.push_back(along("all_gather", from, from, Placement::replicate(), ranks));
  }
  if (to.is_shard()) {
    steps.push_back(along("shard", to, Placement::replicate(), to, ranks));
  } else if (to.is_partial()) {
    ReshardStep step{"rank_zero", {}, Placement::replicate(), to};
    step.attributes.set("rank", Dim::rank());
    steps.push_back(std::move(step));
  }
  return steps;
}

bool is_local(const std::vector<ReshardStep>& steps) {
  return std::none_of(steps.begin(), steps.end(),
                      [](const ReshardStep& step) { return step.is_collective(); });
}

}  // namespace cleave::layout
