// Copies worked out once per map: a program calls with the same few maps again and again.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "comm/copy_step.h"
#include "comm/shard_map.h"

namespace cleave {

uint64_t hash_of(const ShardMap& map);
uint64_t hash_of(const BoxMap& map);

// For one rank of a group. Maps are validated when they are seen first (for elements of up to 8
// bytes); see ShardMap::validate for the errors. Results live until the next call.
class StepCache {
 public:
  StepCache(int rank, int ranks) : rank_(rank), ranks_(ranks) {}

  // `hash` is that of the arguments before it.
  const std::vector<CopyStep>& gather(const ShardMap& map, uint64_t hash);
  const std::vector<CopyStep>& scatter(const ShardMap& map, uint64_t hash);
  const std::vector<CopyStep>& redistribute(const BoxMap& src, const BoxMap& dst,
                                            std::span<const int64_t> shape, uint64_t hash);

 private:
  struct Shards {
    ShardMap map;
    std::vector<CopyStep> steps;
  };
  struct Boxes {
    BoxMap src;
    BoxMap dst;
    std::vector<int64_t> shape;
    std::vector<CopyStep> steps;
  };
  using ShardTable = std::unordered_map<uint64_t, Shards>;

  const std::vector<CopyStep>& find(ShardTable& table, const ShardMap& map, uint64_t hash,
                                    std::vector<CopyStep> (*make)(const ShardMap&, int));

  int rank_;
  int ranks_;
  ShardTable gathers_;
  ShardTable scatters_;
  std::unordered_map<uint64_t, Boxes> redistributions_;
};

}  // namespace cleave
