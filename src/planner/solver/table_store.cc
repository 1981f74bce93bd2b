#include "planner/solver/table_store.h"

#include <algorithm>

#include "base/check.h"

namespace cleave::solver {

namespace {

uint64_t pair_key(size_t a, size_t b) { return (static_cast<uint64_t>(a) << 32) | b; }

}  // namespace

TableId TableStore::intern(std::vector<double> entries) {
  const uint64_t hash = hash_bytes(std::as_bytes(std::span<const double>(entries)));
  const auto [first, last] = by_content_.equal_range(hash);
  for (auto it = first; it != last; ++it) {
    if (*tables_[it->second.index()] == entries) return it->second;
  }
  const TableId id(tables_.size());
  tables_.push_back(std::make_shared<const std::vector<double>>(std::move(entries)));
  by_content_.emplace(hash, id);
  return id;
}

TableId TableStore::transposed(TableId id, size_t rows) {
  const auto [it, added] = transposed_.try_emplace(pair_key(id.index(), rows));
  if (!added) return it->second;
  const std::span<const double> from = entries(id);
  const size_t columns = rows == 0 ? 0 : from.size() / rows;
  std::vector<double> to(from.size());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      to[column * rows + row] = from[row * columns + column];
    }
  }
  const TableId result = intern(std::move(to));
  it->second = result;
  return result;
}

TableId TableStore::sum(TableId a, TableId b, double weight) {
  if (weight != sum_weight_) {
    sums_.clear();
    sum_weight_ = weight;
  }
  const auto [it, added] = sums_.try_emplace(pair_key(a.index(), b.index()));
  if (!added) return it->second;
  const std::span<const double> left = entries(a);
  const std::span<const double> right = entries(b);
  CLEAVE_CHECK(left.size() == right.size(), "sum of cost tables of different sizes");
  std::vector<double> to(left.size());
  for (size_t i = 0; i < to.size(); ++i) to[i] = left[i] + weight * right[i];
  const TableId result = intern(std::move(to));
  it->second = result;
  return result;
}

}  // namespace cleave::solver
