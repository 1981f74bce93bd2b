#include "planner/sizes.h"

#include <algorithm>
#include <limits>

#include "cost/kernel_cost.h"

namespace cleave::planner {

using layout::Placement;

Sizes::Sizes(const ir::Graph& graph, std::vector<SymbolValues> points, size_t opt, int64_t ranks)
    : graph_(graph), points_(std::move(points)), opt_(opt), ranks_(ranks) {
  whole_.reserve(graph.value_count() * points_.size());
  for (size_t v = 0; v < graph.value_count(); ++v) {
    for (const SymbolValues& point : points_) {
      whole_.push_back(evaluate(graph.value(ir::ValueId(v)).type.shape, point));
    }
  }
}

int64_t Sizes::local_extent(const layout::Cut& cut, size_t point, int64_t rank) const {
  const std::string key = cut.text();
  auto it = extents_.find(key);
  if (it == extents_.end()) {
    std::vector<int64_t> extents;
    for (const SymbolValues& values : points_) {
      const layout::Cut numeric = cut.evaluated(values);
      for (int64_t r = 0; r < ranks_; ++r) {
        extents.push_back(numeric.local_extent(r, ranks_).constant());
      }
    }
    it = extents_.emplace(key, std::move(extents)).first;
  }
  return it->second[point * static_cast<size_t>(ranks_) + static_cast<size_t>(rank)];
}

std::vector<int64_t> Sizes::local(ir::ValueId value, const Placement& placement, size_t point,
                                  int64_t rank) const {
  std::vector<int64_t> shape = whole(value, point);
  if (placement.is_shard()) {
    shape[static_cast<size_t>(placement.dim)] = local_extent(placement.cut, point, rank);
  }
  return shape;
}

const cost::Shards& Sizes::shards(const Placement& placement) const {
  auto key = std::make_pair(placement.dim, placement.cut.text());
  auto it = shards_.find(key);
  if (it == shards_.end()) {
    it = shards_
             .emplace(std::move(key),
                      cost::Shards(placement.dim, placement.cut.evaluated(values(opt_)), ranks_))
             .first;
  }
  return it->second;
}

double Sizes::whole_bytes(ir::ValueId value) const {
  double bytes = static_cast<double>(size_of(graph_.type(value).dtype));
  for (int64_t extent : whole(value, opt_)) bytes *= static_cast<double>(extent);
  return bytes;
}

double Sizes::largest_bytes(ir::ValueId value, const Placement& placement) const {
  if (!placement.is_shard()) return whole_bytes(value);
  double largest = 0;
  for (int64_t r = 0; r < ranks_; ++r) {
    double bytes = static_cast<double>(size_of(graph_.type(value).dtype));
    for (int64_t extent : local(value, placement, opt_, r)) bytes *= static_cast<double>(extent);
    largest = std::max(largest, bytes);
  }
  return largest;
}

bool Sizes::dynamic(const layout::Cut& cut) {
  return std::any_of(cut.segments.begin(), cut.segments.end(), [](const layout::Segment& s) {
    return !s.extent.is_constant() || !s.grain.is_constant() ||
           (s.window && !(s.window->outputs.is_constant() && s.window->before.is_constant()));
  });
}

double ReshardCosts::step_us(ir::ValueId value, const Placement& from, const Placement& to,
                             bool collectives) const {
  if (from == to) return 0;
  // Fused into its consumer: it costs the kernel an operation an element.
  if (to.is_partial()) return 0.05;
  if (!from.is_replicate()) {
    if (!collectives) return std::numeric_limits<double>::infinity();
    if (from.is_shard() && to.is_shard()) {
      return cost::redistribution_us(machine_, sizes_.ranks(), sizes_.whole(value, sizes_.opt()),
                                     static_cast<int64_t>(size_of(graph_.type(value).dtype)),
                                     sizes_.shards(from), sizes_.shards(to));
    }
    return machine_.collective_us(layout::step_op(from, to), sizes_.ranks(),
                                  sizes_.whole_bytes(value));
  }
  // A part of leading dimensions lies there as it is.
  const std::vector<int64_t>& whole = sizes_.whole(value, sizes_.opt());
  const auto dim = whole.begin() + to.dim;
  const bool leads = std::all_of(whole.begin(), dim, [](int64_t extent) { return extent == 1; });
  if (leads && to.cut.segments.size() == 1) return 0;
  const std::vector<int64_t> part = sizes_.local(value, to, sizes_.opt(), 0);
  int64_t run = 1;
  for (size_t d = static_cast<size_t>(to.dim); d < part.size(); ++d) run *= part[d];
  return cost::copy_us(machine_, sizes_.ranks(), sizes_.largest_bytes(value, to),
                       std::max<int64_t>(1, run), size_of(graph_.type(value).dtype));
}

// The costs of layout::reshard_path, without making the steps.
double ReshardCosts::path_us(ir::ValueId value, const Placement& from, const Placement& to,
                             bool collectives) const {
  if (from == to) return 0;
  if ((to.is_partial() && to.reduce != ReduceOp::kSum) ||
      (from.is_shard() && from.cut.windowed())) {
    return std::numeric_limits<double>::infinity();
  }
  if (to.is_partial() && !from.is_replicate()) {
    static const Placement kWhole = Placement::replicate();
    return step_us(value, from, kWhole, collectives) + step_us(value, kWhole, to, collectives);
  }
  return step_us(value, from, to, collectives);
}

double ReshardCosts::us(ir::ValueId value, const Placement& from, const Placement& to) const {
  return path_us(value, from, to, true);
}

double ReshardCosts::local_us(ir::ValueId value, const Placement& from, const Placement& to) const {
  return path_us(value, from, to, false);
}

}  // namespace cleave::planner
