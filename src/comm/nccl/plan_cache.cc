#include "comm/nccl/plan_cache.h"

#include <utility>

#include "base/hash.h"
#include "comm/nccl/kernels.h"

namespace cleave::nccl {
namespace {

constexpr int64_t kLargestElement = 8;  // bytes

// A program has some tens of maps for each set of sizes; a table that has grown past this is full
// of sizes of the past.
constexpr size_t kMaxEntries = 1024;

template <class Steps>
std::vector<std::vector<CopyStep>> of_all_ranks(int ranks, Steps&& steps) {
  std::vector<std::vector<CopyStep>> result;
  for (int rank = 0; rank < ranks; ++rank) result.push_back(steps(rank));
  return result;
}

}  // namespace

template <class Maps, class Placed, class Make>
const Placed& PlanCache::find(Table<Maps, Placed>& table, const Maps& maps, uint64_t hash,
                              int64_t element_size, Make&& make) {
  const uint64_t key = hash_combine(hash, static_cast<uint64_t>(element_size));
  const auto known = table.find(key);
  if (known != table.end() && known->second.element_size == element_size &&
      known->second.maps == maps) {
    return known->second.placed;
  }
  Entry<Maps, Placed> made{maps, element_size, make()};
  if (table.size() >= kMaxEntries) table.clear();
  return (table[key] = std::move(made)).placed;
}

const PlacedExchange& PlanCache::gather(const ShardMap& map, uint64_t hash, int64_t element_size) {
  return find(gathers_, map, hash, element_size, [&] {
    map.validate(ranks_, kLargestElement);
    const auto steps = of_all_ranks(ranks_, [&](int rank) { return gather_steps(map, rank); });
    return place(plan_exchange(steps, rank_, element_size, takes_rows_));
  });
}

const PlacedScatter& PlanCache::scatter(const ShardMap& map, uint64_t hash, int64_t element_size) {
  return find(scatters_, map, hash, element_size, [&] {
    map.validate(ranks_, kLargestElement);
    const auto steps = of_all_ranks(ranks_, [&](int rank) { return scatter_steps(map, rank); });
    PlacedScatter placed{plan_scatter(steps, rank_, element_size, takes_rows_), {}, {}};
    placed.pack = place(std::move(placed.plan.pack));
    placed.unpack = place(std::move(placed.plan.unpack));
    return placed;
  });
}

const PlacedExchange& PlanCache::redistribute(const BoxMap& src, const BoxMap& dst,
                                              std::span<const int64_t> shape, uint64_t hash,
                                              int64_t element_size) {
  const BoxMaps maps{src, dst, {shape.begin(), shape.end()}};
  return find(redistributions_, maps, hash, element_size, [&] {
    src.validate(ranks_, shape, kLargestElement);
    dst.validate(ranks_, shape, kLargestElement);
    const auto steps =
        of_all_ranks(ranks_, [&](int rank) { return redistribute_steps(src, dst, rank); });
    return place(plan_exchange(steps, rank_, element_size, takes_rows_));
  });
}

PlacedTable PlanCache::place(CopyTable table) {
  PlacedTable placed{std::move(table), nullptr};
  if (placed.table.entries.size() > kInlineEntries) {
    uploaded_.push_back(upload(placed.table.entries));
    placed.on_device = reinterpret_cast<const CopyRuns*>(uploaded_.back().data());
  }
  return placed;
}

PlacedExchange PlanCache::place(ExchangePlan plan) {
  PlacedExchange placed{std::move(plan), {}, {}, {}};
  placed.pack = place(std::move(placed.plan.pack));
  placed.local = place(std::move(placed.plan.local));
  placed.unpack = place(std::move(placed.plan.unpack));
  return placed;
}

}  // namespace cleave::nccl
