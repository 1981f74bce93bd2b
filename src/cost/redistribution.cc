#include "cost/redistribution.h"

#include <algorithm>

#include "cost/kernel_cost.h"

namespace cleave::cost {
namespace {

int64_t length(const std::vector<Shards::Range>& ranges) {
  int64_t sum = 0;
  for (const Shards::Range& range : ranges) sum += range.end - range.begin;
  return sum;
}

int64_t common(const std::vector<Shards::Range>& a, const std::vector<Shards::Range>& b) {
  int64_t sum = 0;
  for (const Shards::Range& x : a) {
    for (const Shards::Range& y : b) {
      sum += std::max<int64_t>(0, std::min(x.end, y.end) - std::max(x.begin, y.begin));
    }
  }
  return sum;
}

}  // namespace

Shards::Shards(int64_t cut_dim, const layout::Cut& cut, int64_t ranks) : dim(cut_dim) {
  for (int64_t rank = 0; rank < ranks; ++rank) {
    auto& held = by_rank.emplace_back();
    for (const layout::Piece& piece : cut.pieces(rank, ranks)) {
      const int64_t begin = piece.begin.constant();
      held.push_back({begin, begin + piece.extent.constant()});
    }
  }
}

double redistribution_us(const MachineModel& machine, int64_t devices,
                         std::span<const int64_t> shape, int64_t element_bytes, const Shards& from,
                         const Shards& to) {
  const auto ranks = static_cast<double>(from.by_rank.size());
  double whole = static_cast<double>(element_bytes);
  for (const int64_t extent : shape) whole *= static_cast<double>(extent);
  if (whole == 0 || ranks < 2) return 0;
  const auto share = [&](const Shards& shards, size_t rank) {
    return static_cast<double>(length(shards.by_rank[rank])) /
           static_cast<double>(shape[static_cast<size_t>(shards.dim)]);
  };
  double fetched = 0;  // by the rank that fetches most
  double kept = 0;     // by the rank that keeps most
  for (size_t rank = 0; rank < from.by_rank.size(); ++rank) {
    const double needed = whole * share(to, rank);
    const double own = from.dim == to.dim
                           ? whole *
                                 static_cast<double>(common(from.by_rank[rank], to.by_rank[rank])) /
                                 static_cast<double>(shape[static_cast<size_t>(to.dim)])
                           : needed * share(from, rank);
    fetched = std::max(fetched, needed - own);
    kept = std::max(kept, own);
  }
  // An even all_to_all of B bytes has each rank fetch (N - 1)/N² of them and keep 1/N².
  const double alike = fetched * ranks * ranks / (ranks - 1);
  const double more_kept = kept - alike / (ranks * ranks);
  double us = machine.collective_us("all_to_all", static_cast<int64_t>(ranks), alike);
  if (more_kept > 0) {
    int64_t run = 1;
    for (size_t d = static_cast<size_t>(to.dim) + 1; d < shape.size(); ++d) run *= shape[d];
    const auto size = static_cast<size_t>(element_bytes);
    us += copy_us(machine, devices, more_kept, std::max<int64_t>(1, run), size) -
          copy_us(machine, devices, 0, 1, size);
  }
  return us;
}

}  // namespace cleave::cost
