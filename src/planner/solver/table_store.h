// Dense tables of costs, each distinct content stored once and known by an id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/strong_id.h"

namespace cleave::solver {

using TableId = StrongId<struct TableTag>;

// Two tables with the same id have the same entries, so what is computed from ids can be reused:
// the layers of a deep network share their tables. A copy shares the entries of the original.
class TableStore {
 public:
  TableId intern(std::vector<double> entries);
  std::span<const double> entries(TableId id) const { return *tables_[id.index()]; }
  size_t size() const { return tables_.size(); }

  // The table of `rows` rows turned; remembered.
  TableId transposed(TableId id, size_t rows);
  // Entry by entry a + weight * b; remembered while `weight` stays the same.
  TableId sum(TableId a, TableId b, double weight = 1);

 private:
  std::vector<std::shared_ptr<const std::vector<double>>> tables_;
  std::unordered_multimap<uint64_t, TableId> by_content_;
  std::unordered_map<uint64_t, TableId> transposed_;  // (id, rows)
  std::unordered_map<uint64_t, TableId> sums_;        // (a, b), of weight sum_weight_
  double sum_weight_ = 1;
};

}  // namespace cleave::solver
