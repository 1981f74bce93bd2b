#include "planner/solver/elimination_order.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

namespace cleave::solver {

namespace {

class OrderPlanner {
 public:
  OrderPlanner(const FactorGraph& graph, size_t max_neighbours, double max_entries)
      : graph_(graph), max_neighbours_(max_neighbours), max_entries_(max_entries) {
    neighbours_.resize(graph.size());
    depth_.resize(graph.size(), 0);
    priority_.resize(graph.size());
    for (uint32_t variable : graph.alive()) {
      neighbours_[variable] = graph.neighbours(variable);
      priority_[variable] = priority(variable);
      queue_.insert(priority_[variable]);
    }
  }

  EliminationOrder run() {
    EliminationOrder order;
    while (!queue_.empty()) {
      const auto [entries, depth, variable] = *queue_.begin();
      if (entries > max_entries_ || !within_width(variable)) break;
      queue_.erase(queue_.begin());
      order.variables.push_back(variable);
      order.operations += entries * graph_.variable(variable).domain_size;
      order.table_entries += entries;
      connect_neighbours(variable);
    }
    order.complete = queue_.empty();
    return order;
  }

 private:
  // Table size, depth, variable.
  using Priority = std::tuple<double, uint32_t, uint32_t>;

  bool within_width(uint32_t variable) const {
    return neighbours_[variable].size() <= max_neighbours_;
  }

  Priority priority(uint32_t variable) const {
    double entries = 1;
    for (uint32_t other : neighbours_[variable]) entries *= graph_.variable(other).domain_size;
    // Those that may not be eliminated come last.
    if (!within_width(variable)) entries = kForbidden;
    return {entries, depth_[variable], variable};
  }

  void connect_neighbours(uint32_t variable) {
    const std::vector<uint32_t> clique = std::move(neighbours_[variable]);
    std::vector<uint32_t> joined;
    for (uint32_t member : clique) {
      joined.clear();
      std::set_union(neighbours_[member].begin(), neighbours_[member].end(), clique.begin(),
                     clique.end(), std::back_inserter(joined));
      std::erase_if(joined, [&](uint32_t v) { return v == member || v == variable; });
      neighbours_[member] = joined;
      depth_[member] = std::max(depth_[member], depth_[variable] + 1);
      queue_.erase(priority_[member]);
      priority_[member] = priority(member);
      queue_.insert(priority_[member]);
    }
  }

  const FactorGraph& graph_;
  size_t max_neighbours_;
  double max_entries_;
  std::vector<std::vector<uint32_t>> neighbours_;
  std::vector<uint32_t> depth_;
  std::vector<Priority> priority_;
  std::set<Priority> queue_;
};

}  // namespace

EliminationOrder plan_elimination(const FactorGraph& graph, size_t max_neighbours,
                                  double max_entries) {
  return OrderPlanner(graph, max_neighbours, max_entries).run();
}

}  // namespace cleave::solver
