// Reshard paths: the ops that bring a tensor from one placement to another. The planner costs these
// steps, and partition writes them into the local graph.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layout/layout.h"

namespace cleave::layout {

// One op of a local graph with one operand and one result.
struct ReshardStep {
  std::string op;  // shard, all_gather, all_reduce, reduce_scatter, all_to_all or rank_zero
  Attributes attributes;
  Placement from;
  Placement to;
  bool is_collective() const { return op != "shard" && op != "rank_zero"; }
  bool operator==(const ReshardStep&) const = default;
};

// The placements along the way, `from` first and `to` last: equal, adjacent, or with a replicated
// tensor between them. nullopt where there is no way: only a sum can be made of terms that were
// none (rank 0 has the value, the others zeros), and what windows see is not all of a tensor.
std::optional<std::vector<Placement>> reshard_placements(const Placement& from,
                                                         const Placement& to);

// One step for each neighbouring pair of `reshard_placements`; none where `from` equals `to`.
// `rank` is a number or Dim::rank().
std::optional<std::vector<ReshardStep>> reshard_path(const TensorType& whole, const Placement& from,
                                                     const Placement& to, int64_t ranks,
                                                     const Dim& rank = Dim::rank());

// The op of one step between neighbouring placements.
std::string_view step_op(const Placement& from, const Placement& to);

// True where no step communicates.
bool is_local(const std::vector<ReshardStep>& steps);

}  // namespace cleave::layout
