#include "comm/step_cache.h"

#include "base/hash.h"

namespace cleave {
namespace {

constexpr int64_t kLargestElement = 8;  // bytes

// A program has some tens of maps for each set of sizes; a table that has grown past this is full
// of sizes of the past.
constexpr size_t kMaxEntries = 1024;

uint64_t hash_numbers(std::span<const int64_t> numbers, uint64_t seed) {
  return hash_bytes(std::as_bytes(numbers), hash_combine(seed, numbers.size()));
}

template <class Table>
void make_room(Table& table) {
  if (table.size() >= kMaxEntries) table.clear();
}

}  // namespace

uint64_t hash_of(const ShardMap& map) {
  const int64_t sizes[] = {map.rows, map.row_elements, static_cast<int64_t>(map.pieces.size())};
  uint64_t hash = hash_numbers(sizes, 0);
  for (const std::vector<Piece>& pieces : map.pieces) {
    static_assert(sizeof(Piece) == 3 * sizeof(int64_t), "a piece has no padding");
    hash = hash_bytes(std::as_bytes(std::span(pieces)), hash_combine(hash, pieces.size()));
  }
  return hash;
}

uint64_t hash_of(const BoxMap& map) {
  uint64_t hash = map.ranks.size();
  for (const LocalBoxes& local : map.ranks) {
    hash = hash_numbers(local.shape, hash_combine(hash, local.boxes.size()));
    for (const Box& box : local.boxes) {
      hash = hash_numbers(box.begin, hash);
      hash = hash_numbers(box.extent, hash);
      hash = hash_numbers(box.local_begin, hash);
    }
  }
  return hash;
}

const std::vector<CopyStep>& StepCache::find(ShardTable& table, const ShardMap& map, uint64_t hash,
                                             std::vector<CopyStep> (*make)(const ShardMap&, int)) {
  const auto known = table.find(hash);
  if (known != table.end() && known->second.map == map) return known->second.steps;
  map.validate(ranks_, kLargestElement);
  Shards made{map, make(map, rank_)};
  make_room(table);
  return (table[hash] = std::move(made)).steps;
}

const std::vector<CopyStep>& StepCache::gather(const ShardMap& map, uint64_t hash) {
  return find(gathers_, map, hash, gather_steps);
}

const std::vector<CopyStep>& StepCache::scatter(const ShardMap& map, uint64_t hash) {
  return find(scatters_, map, hash, scatter_steps);
}

const std::vector<CopyStep>& StepCache::redistribute(const BoxMap& src, const BoxMap& dst,
                                                     std::span<const int64_t> shape,
                                                     uint64_t hash) {
  const std::vector<int64_t> sizes(shape.begin(), shape.end());
  const auto known = redistributions_.find(hash);
  if (known != redistributions_.end() && known->second.src == src && known->second.dst == dst &&
      known->second.shape == sizes) {
    return known->second.steps;
  }
  src.validate(ranks_, shape, kLargestElement);
  dst.validate(ranks_, shape, kLargestElement);
  Boxes made{src, dst, sizes, redistribute_steps(src, dst, rank_)};
  make_room(redistributions_);
  return (redistributions_[hash] = std::move(made)).steps;
}

}  // namespace cleave
