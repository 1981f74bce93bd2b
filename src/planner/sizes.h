// Numeric sizes: what each rank holds of a tensor at each of the points (sizes of the dynamic
// dimensions) that costs are taken at.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cost/machine_model.h"
#include "cost/redistribution.h"
#include "ir/graph.h"
#include "layout/reshard.h"

namespace cleave::planner {

class Sizes {
 public:
  Sizes(const ir::Graph& graph, std::vector<SymbolValues> points, size_t opt, int64_t ranks);

  size_t points() const { return points_.size(); }
  size_t opt() const { return opt_; }
  const SymbolValues& values(size_t point) const { return points_[point]; }
  int64_t ranks() const { return ranks_; }
  // The whole's shape at a point.
  const std::vector<int64_t>& whole(ir::ValueId value, size_t point) const {
    return whole_[value.index() * points_.size() + point];
  }
  // A rank's part under a placement.
  std::vector<int64_t> local(ir::ValueId value, const layout::Placement& placement, size_t point,
                             int64_t rank) const;
  // Bytes of the whole, and of the largest rank's part, at the opt point.
  double whole_bytes(ir::ValueId value) const;
  double largest_bytes(ir::ValueId value, const layout::Placement& placement) const;
  // Who holds what of a tensor that is cut, at the opt point.
  const cost::Shards& shards(const layout::Placement& placement) const;
  // True where the size of what is cut depends on a dynamic dimension.
  static bool dynamic(const layout::Cut& cut);

 private:
  int64_t local_extent(const layout::Cut& cut, size_t point, int64_t rank) const;

  const ir::Graph& graph_;
  std::vector<SymbolValues> points_;
  size_t opt_;
  int64_t ranks_;
  std::vector<std::vector<int64_t>> whole_;
  // Local extents by cut (its text), point and rank.
  mutable std::map<std::string, std::vector<int64_t>, std::less<>> extents_;
  mutable std::map<std::pair<int32_t, std::string>, cost::Shards> shards_;
};

// The cost of going from one placement of a value to another; infinity where there is no way.
// `collectives` false: only by steps that need no communication.
class ReshardCosts {
 public:
  ReshardCosts(const ir::Graph& graph, const Sizes& sizes, const cost::MachineModel& machine)
      : graph_(graph), sizes_(sizes), machine_(machine) {}
  double us(ir::ValueId value, const layout::Placement& from, const layout::Placement& to) const;
  double local_us(ir::ValueId value, const layout::Placement& from,
                  const layout::Placement& to) const;

 private:
  double step_us(ir::ValueId value, const layout::Placement& from, const layout::Placement& to,
                 bool collectives) const;
  double path_us(ir::ValueId value, const layout::Placement& from, const layout::Placement& to,
                 bool collectives) const;

  const ir::Graph& graph_;
  const Sizes& sizes_;
  const cost::MachineModel& machine_;
};

}  // namespace cleave::planner
