#include "planner/solver/reduce.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <optional>

namespace cleave::solver {

namespace {

// A factor seen from one of its two variables: a row for each of its values.
struct Side {
  uint32_t neighbour;
  TableId table;
  std::span<const double> entries;
  size_t columns;
  std::span<const double> row(uint32_t value) const {
    return entries.subspan(value * columns, columns);
  }
};

std::vector<Side> sides_of(FactorGraph& graph, uint32_t variable) {
  std::vector<Side> sides;
  for (uint32_t index : graph.variable(variable).factors) {
    const FactorGraph::Factor& factor = graph.factor(index);
    const bool first = factor.scope[0] == variable;
    const uint32_t neighbour = factor.scope[first ? 1 : 0];
    const size_t columns = graph.variable(neighbour).domain_size;
    const TableId table = first ? factor.table : graph.tables().transposed(factor.table, columns);
    sides.push_back({neighbour, table, graph.tables().entries(table), columns});
  }
  return sides;
}

// Which values of one variable are dominated, from its tables alone.
class Dominance {
 public:
  Dominance(std::span<const double> unary, const std::vector<Side>& sides, uint64_t& operations)
      : unary_(unary), sides_(sides), operations_(operations) {
    for (uint32_t value = 0; value < unary.size(); ++value) {
      double least = unary[value];
      for (const Side& side : sides) {
        const std::span<const double> row = side.row(value);
        row_minima_.push_back(*std::min_element(row.begin(), row.end()));
        least += row_minima_.back();
      }
      least_.push_back(least);
    }
  }

  // Later values are tried first, so that of two equal ones the earlier stays.
  std::vector<uint32_t> kept() {
    std::vector<uint32_t> kept(unary_.size());
    for (uint32_t value = 0; value < kept.size(); ++value) kept[value] = value;
    for (uint32_t value = static_cast<uint32_t>(kept.size()); value-- > 0;) {
      const bool dominated = std::any_of(kept.begin(), kept.end(), [&](uint32_t other) {
        return other != value && dominates(other, value);
      });
      if (dominated) std::erase(kept, value);
    }
    return kept;
  }

 private:
  // Whether replacing `worse` by `better` never costs more: the sum over the neighbours of the most
  // that each can lose is at most 0.
  bool dominates(uint32_t better, uint32_t worse) {
    // A bound on that sum from the least entries alone refutes most pairs.
    if (least_[better] > least_[worse]) return false;
    double sum = unary_[better] - unary_[worse];
    double left = (least_[better] - unary_[better]) - (least_[worse] - unary_[worse]);
    const double rounding = 1e-12 * least_[worse];
    for (size_t i = 0; i < sides_.size(); ++i) {
      left -= row_minima_[better * sides_.size() + i] - row_minima_[worse * sides_.size() + i];
      sum += most_lost(sides_[i].row(better), sides_[i].row(worse));
      if (sum + left > rounding) return false;
    }
    return sum <= 0;
  }

  double most_lost(std::span<const double> better, std::span<const double> worse) {
    operations_ += better.size();
    double most = -kForbidden;
    for (size_t i = 0; i < better.size(); ++i) {
      // A neighbour's value that `worse` may not meet does not matter.
      if (worse[i] != kForbidden) most = std::max(most, better[i] - worse[i]);
    }
    return most;
  }

  std::span<const double> unary_;
  const std::vector<Side>& sides_;
  uint64_t& operations_;
  std::vector<double> row_minima_;  // value x side
  std::vector<double> least_;       // of each value: the least it can cost with its neighbours
};

class Reducer {
 public:
  Reducer(FactorGraph& graph, double max_entries, uint64_t max_operations, Statistics& statistics)
      : graph_(graph),
        max_entries_(max_entries),
        max_operations_(max_operations),
        statistics_(statistics),
        waiting_(graph.size(), false) {
    for (uint32_t variable : graph.alive()) touch(variable);
  }

  uint64_t run() {
    while (!queue_.empty() && operations_ < max_operations_) {
      const uint32_t variable = queue_.front();
      queue_.pop_front();
      waiting_[variable] = false;
      if (graph_.variable(variable).alive && !reduce(variable)) break;
    }
    return operations_;
  }

 private:
  // Cheap reductions first; each that changes the surroundings queues them again. False: no value
  // is left.
  bool reduce(uint32_t variable) {
    remove_unsupported(variable);
    if (graph_.variable(variable).domain_size == 0) return false;
    if (eliminate(variable) || merge(variable)) return true;
    remove_dominated(variable);
    return true;
  }

  void touch(uint32_t variable) {
    if (waiting_[variable]) return;
    waiting_[variable] = true;
    queue_.push_back(variable);
  }

  void keep(uint32_t variable, const std::vector<uint32_t>& kept) {
    if (kept.size() == graph_.variable(variable).domain_size) return;
    statistics_.values_removed += graph_.variable(variable).domain_size - kept.size();
    graph_.restrict_domain(variable, kept);
    for (uint32_t neighbour : graph_.neighbours(variable)) touch(neighbour);
    touch(variable);
  }

  void remove_unsupported(uint32_t variable) {
    const std::vector<Side> sides = sides_of(graph_, variable);
    const std::span<const double> unary = graph_.unary(variable);
    std::vector<uint32_t> kept;
    for (uint32_t value = 0; value < unary.size(); ++value) {
      const bool supported = std::all_of(sides.begin(), sides.end(), [&](const Side& side) {
        const std::span<const double> row = side.row(value);
        return std::any_of(row.begin(), row.end(), [](double c) { return c != kForbidden; });
      });
      if (supported && unary[value] != kForbidden) kept.push_back(value);
    }
    operations_ += unary.size();
    keep(variable, kept);
  }

  bool eliminate(uint32_t variable) {
    const std::vector<uint32_t> neighbours = graph_.neighbours(variable);
    if (neighbours.size() > 2) return false;
    double entries = 1;
    for (uint32_t neighbour : neighbours) entries *= graph_.variable(neighbour).domain_size;
    if (entries > max_entries_) return false;
    operations_ += graph_.eliminate(variable, statistics_);
    for (uint32_t neighbour : neighbours) touch(neighbour);
    return true;
  }

  // Merges `variable` into a neighbour that determines it.
  bool merge(uint32_t variable) {
    const std::vector<Side> sides = sides_of(graph_, variable);
    for (const Side& side : sides) {
      const std::optional<std::vector<uint32_t>> partner_of = partners(side);
      if (!partner_of) continue;
      const bool fits = std::all_of(sides.begin(), sides.end(), [&](const Side& other) {
        return static_cast<double>(side.columns * other.columns) <= max_entries_;
      });
      if (!fits) return false;
      operations_ += graph_.merge(variable, side.neighbour, *partner_of);
      ++statistics_.variables_merged;
      for (const Side& other : sides) touch(other.neighbour);
      return true;
    }
    return false;
  }

  // For each value of the neighbour the only compatible one of the variable, if that is so.
  std::optional<std::vector<uint32_t>> partners(const Side& side) {
    std::vector<uint32_t> partner_of(side.columns);
    const size_t rows = side.entries.size() / std::max<size_t>(1, side.columns);
    for (size_t column = 0; column < side.columns; ++column) {
      size_t compatible = 0;
      for (size_t row = 0; row < rows && compatible < 2; ++row) {
        if (side.entries[row * side.columns + column] == kForbidden) continue;
        ++compatible;
        partner_of[column] = static_cast<uint32_t>(row);
      }
      if (compatible != 1) return std::nullopt;
    }
    return partner_of;
  }

  void remove_dominated(uint32_t variable) {
    const std::vector<Side> sides = sides_of(graph_, variable);
    std::vector<uint32_t> key{static_cast<uint32_t>(graph_.variable(variable).unary.index())};
    for (const Side& side : sides) key.push_back(static_cast<uint32_t>(side.table.index()));
    auto known = undominated_.find(key);
    if (known == undominated_.end()) {
      Dominance dominance(graph_.unary(variable), sides, operations_);
      known = undominated_.emplace(std::move(key), dominance.kept()).first;
    }
    keep(variable, known->second);
  }

  FactorGraph& graph_;
  double max_entries_;
  uint64_t max_operations_;
  Statistics& statistics_;
  uint64_t operations_ = 0;
  std::deque<uint32_t> queue_;
  std::vector<bool> waiting_;
  // Of equal surroundings; the number of columns is known by the table's size.
  std::map<std::vector<uint32_t>, std::vector<uint32_t>> undominated_;
};

}  // namespace

uint64_t reduce_to_fixpoint(FactorGraph& graph, double max_entries, uint64_t max_operations,
                            Statistics& statistics) {
  return Reducer(graph, max_entries, max_operations, statistics).run();
}

}  // namespace cleave::solver
