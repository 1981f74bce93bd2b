// Plans of messages worked out once per map, with their tables where device code reads them.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "comm/message_plan.h"
#include "comm/nccl/memory.h"
#include "comm/shard_map.h"

namespace cleave::nccl {

// A table and, where it is too long for a parameter of a kernel, its entries on the device.
struct PlacedTable {
  CopyTable table;
  const CopyRuns* on_device = nullptr;
};

struct PlacedExchange {
  ExchangePlan plan;  // its tables have moved to:
  PlacedTable pack;
  PlacedTable local;
  PlacedTable unpack;
};

struct PlacedScatter {
  ScatterPlan plan;  // its tables have moved to:
  PlacedTable pack;
  PlacedTable unpack;
};

// For one rank of a group; used by its thread, whose current device is the rank's. Maps are
// validated when they are seen first (for elements of up to 8 bytes); see ShardMap::validate for
// the errors. Results live until the next call; tables on the device as long as the cache, because
// recorded work may refer to them.
class PlanCache {
 public:
  PlanCache(int rank, int ranks, TakesRows takes_rows)
      : rank_(rank), ranks_(ranks), takes_rows_(std::move(takes_rows)) {}

  // `hash` is that of the arguments before it.
  const PlacedExchange& gather(const ShardMap& map, uint64_t hash, int64_t element_size);
  const PlacedScatter& scatter(const ShardMap& map, uint64_t hash, int64_t element_size);
  const PlacedExchange& redistribute(const BoxMap& src, const BoxMap& dst,
                                     std::span<const int64_t> shape, uint64_t hash,
                                     int64_t element_size);

 private:
  struct BoxMaps {
    BoxMap src;
    BoxMap dst;
    std::vector<int64_t> shape;
    bool operator==(const BoxMaps&) const = default;
  };
  template <class Maps, class Placed>
  struct Entry {
    Maps maps;
    int64_t element_size = 0;
    Placed placed;
  };
  template <class Maps, class Placed>
  using Table = std::unordered_map<uint64_t, Entry<Maps, Placed>>;

  template <class Maps, class Placed, class Make>
  const Placed& find(Table<Maps, Placed>& table, const Maps& maps, uint64_t hash,
                     int64_t element_size, Make&& make);
  PlacedTable place(CopyTable table);
  PlacedExchange place(ExchangePlan plan);

  const int rank_;
  const int ranks_;
  const TakesRows takes_rows_;
  Table<ShardMap, PlacedExchange> gathers_;
  Table<ShardMap, PlacedScatter> scatters_;
  Table<BoxMaps, PlacedExchange> redistributions_;
  std::vector<DeviceMemory> uploaded_;
};

}  // namespace cleave::nccl
