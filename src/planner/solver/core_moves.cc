// Primal heuristics of a core: moves that lower the cost of an assignment.
#include <algorithm>
#include <numeric>

#include "planner/solver/core.h"
#include "planner/solver/min_plus.h"

namespace cleave::solver {

namespace {

constexpr uint32_t kRoot = ~uint32_t{0};
constexpr uint32_t kOutside = kRoot - 1;

// Marsaglia's xorshift: the same everywhere.
uint64_t next_random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

uint32_t least_position(const std::vector<double>& costs) {
  return static_cast<uint32_t>(std::min_element(costs.begin(), costs.end()) - costs.begin());
}

uint32_t find_root(std::vector<uint32_t>& parent, uint32_t index) {
  while (parent[index] != index) index = parent[index] = parent[parent[index]];
  return index;
}

}  // namespace

template <class Skip>
void Core::local_costs(size_t index, const std::vector<uint32_t>& values, Skip skip,
                       std::vector<double>& costs, uint64_t& operations) const {
  const Variable& variable = variables_[index];
  costs.assign(variable.cost.begin(), variable.cost.end());
  for (uint32_t edge : variable.before) {
    const uint32_t other = edges_[edge].first;
    if (!skip(other)) add_row(costs, edges_[edge], other, values[other]);
  }
  for (uint32_t edge : variable.after) {
    const uint32_t other = edges_[edge].second;
    if (!skip(other)) add_row(costs, edges_[edge], other, values[other]);
  }
  operations += costs.size() * (variable.before.size() + variable.after.size());
}

void Core::descend(std::vector<uint32_t>& values, uint64_t& operations) const {
  std::vector<double> costs;
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t i = 0; i < variables_.size(); ++i) {
      local_costs(
          i, values, [](uint32_t) { return false; }, costs, operations);
      const uint32_t value = least_position(costs);
      // A clear gain only, so that rounding cannot make it go in circles.
      if (costs[value] < costs[values[i]] * (1 - 1e-12)) {
        values[i] = value;
        moved = true;
      }
    }
  }
}

void Core::descend_by_forests(std::vector<uint32_t>& values, int patience, uint64_t random,
                              uint64_t& operations, uint64_t max_operations) const {
  double best = cost(values);
  std::vector<uint32_t> parent_edge;
  for (int idle = 0; idle < patience && operations < max_operations; ++idle) {
    const std::vector<uint32_t> forest = random_forest(random, parent_edge);
    std::vector<uint32_t> moved = values;
    optimise_forest(moved, forest, parent_edge, operations);
    const double now = cost(moved);
    if (now > best) continue;  // by rounding
    if (now < best * (1 - 1e-9)) idle = -1;
    best = now;
    values = std::move(moved);  // also at equal cost: from there others may be better
  }
}

std::vector<uint32_t> Core::random_forest(uint64_t& random,
                                          std::vector<uint32_t>& parent_edge) const {
  std::vector<uint32_t> order(size());
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[next_random(random) % i]);
  }
  // A variable may join while all its neighbours inside are in different trees.
  std::vector<bool> inside(size(), false);
  std::vector<uint32_t> tree(size());
  std::iota(tree.begin(), tree.end(), 0);
  std::vector<uint32_t> roots;
  for (uint32_t index : order) {
    roots.clear();
    const auto each_neighbour = [&](auto&& visit) {
      for (uint32_t edge : variables_[index].before) visit(edges_[edge].first);
      for (uint32_t edge : variables_[index].after) visit(edges_[edge].second);
    };
    each_neighbour([&](uint32_t other) {
      if (inside[other]) roots.push_back(find_root(tree, other));
    });
    std::sort(roots.begin(), roots.end());
    if (std::adjacent_find(roots.begin(), roots.end()) != roots.end()) continue;
    inside[index] = true;
    for (uint32_t root : roots) tree[root] = index;
  }

  parent_edge.assign(size(), kOutside);
  std::vector<uint32_t> forest;
  for (uint32_t root : order) {
    if (!inside[root] || parent_edge[root] != kOutside) continue;
    parent_edge[root] = kRoot;
    forest.push_back(root);
    for (size_t head = forest.size() - 1; head < forest.size(); ++head) {
      const uint32_t at = forest[head];
      const auto grow = [&](uint32_t edge, uint32_t other) {
        if (!inside[other] || parent_edge[other] != kOutside) return;
        parent_edge[other] = edge;
        forest.push_back(other);
      };
      for (uint32_t edge : variables_[at].before) grow(edge, edges_[edge].first);
      for (uint32_t edge : variables_[at].after) grow(edge, edges_[edge].second);
    }
  }
  return forest;
}

void Core::optimise_forest(std::vector<uint32_t>& values, const std::vector<uint32_t>& forest,
                           const std::vector<uint32_t>& parent_edge, uint64_t& operations) const {
  std::vector<double> subtree(unary_entries_);  // least cost of each value with all below it
  std::vector<double> costs;
  for (uint32_t index : forest) {
    local_costs(
        index, values, [&](uint32_t other) { return parent_edge[other] != kOutside; }, costs,
        operations);
    std::copy(costs.begin(), costs.end(),
              subtree.begin() + static_cast<ptrdiff_t>(variables_[index].offset));
  }
  const auto parent_of = [&](uint32_t index) {
    const Edge& edge = edges_[parent_edge[index]];
    return edge.first == index ? edge.second : edge.first;
  };
  for (size_t i = forest.size(); i-- > 0;) {
    const uint32_t index = forest[i];
    if (parent_edge[index] == kRoot) continue;
    const Edge& edge = edges_[parent_edge[index]];
    const Variable& parent = variables_[parent_of(index)];
    const double* table = edge.first == index ? edge.by_first : edge.by_second;
    least_.assign(parent.domain_size, kForbidden);
    for (size_t value = 0; value < variables_[index].domain_size; ++value) {
      const double below = subtree[variables_[index].offset + value];
      if (below == kForbidden) continue;
      lower_row(least_.data(), below, table + value * parent.domain_size, parent.domain_size);
      operations += parent.domain_size;
    }
    for (size_t value = 0; value < parent.domain_size; ++value) {
      subtree[parent.offset + value] += least_[value];
    }
  }
  for (uint32_t index : forest) {
    const Variable& variable = variables_[index];
    const auto first = subtree.begin() + static_cast<ptrdiff_t>(variable.offset);
    costs.assign(first, first + variable.domain_size);
    if (parent_edge[index] != kRoot) {
      const uint32_t parent = parent_of(index);
      add_row(costs, edges_[parent_edge[index]], parent, values[parent]);
    }
    values[index] = least_position(costs);
  }
}

}  // namespace cleave::solver
