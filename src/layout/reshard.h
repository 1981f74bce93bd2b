// Reshards: the way of a tensor from one placement to another along one mesh axis.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layout/layout.h"

namespace cleave::layout {

// One op of a local graph: a collective, or `shard` or `rank_zero`, which move nothing.
struct ReshardStep {
  std::string op;
  Attributes attributes;
  Placement from;
  Placement to;
  bool is_collective() const { return op != "shard" && op != "rank_zero"; }
};

// The steps from `from` to `to` for a tensor of type `whole` over `ranks`, in order; empty where
// they are equal; nullopt where there is no way (to a Partial of a reduction other than sum).
std::optional<std::vector<ReshardStep>> reshard_path(const TensorType& whole, const Placement& from,
                                                     const Placement& to, int64_t ranks);

// True where `steps` needs no communication.
bool is_local(const std::vector<ReshardStep>& steps);

}  // namespace cleave::layout
