#include "planner/solver/core.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "planner/solver/min_plus.h"

namespace cleave::solver {

namespace {

uint32_t least_position(const std::vector<double>& costs) {
  return static_cast<uint32_t>(std::min_element(costs.begin(), costs.end()) - costs.begin());
}

bool all_whole(std::span<const double> costs) {
  return std::all_of(costs.begin(), costs.end(), [](double c) { return c == std::floor(c); });
}

}  // namespace

Core::Core(FactorGraph& graph) : constant_(graph.constant()) {
  std::vector<uint32_t> index_of(graph.size());
  for (uint32_t variable : graph.alive()) {
    index_of[variable] = static_cast<uint32_t>(variables_.size());
    const uint32_t size = graph.variable(variable).domain_size;
    variables_.push_back({variable, size, unary_entries_, graph.unary(variable), {}, {}, 1});
    unary_entries_ += size;
    whole_ = whole_ && all_whole(graph.unary(variable));
  }
  for (const Variable& variable : variables_) {
    for (uint32_t factor_index : graph.variable(variable.graph_variable).factors) {
      const FactorGraph::Factor& factor = graph.factor(factor_index);
      CLEAVE_CHECK(factor.scope.size() == 2, "a core has a factor of several variables");
      if (factor.scope[0] != variable.graph_variable) continue;
      const uint32_t first = index_of[factor.scope[0]];
      const uint32_t second = index_of[factor.scope[1]];
      const size_t rows = variable.domain_size;
      whole_ = whole_ && all_whole(graph.entries(factor));
      const TableId turned = graph.tables().transposed(factor.table, rows);
      edges_.push_back({factor_index, first, second, graph.tables().entries(factor.table).data(),
                        graph.tables().entries(turned).data(), taken_entries_,
                        taken_entries_ + rows});
      taken_entries_ += rows + graph.variable(factor.scope[1]).domain_size;
    }
  }
  for (uint32_t edge = 0; edge < edges_.size(); ++edge) {
    variables_[edges_[edge].first].after.push_back(edge);
    variables_[edges_[edge].second].before.push_back(edge);
  }
  for (Variable& variable : variables_) {
    const size_t most = std::max({variable.before.size(), variable.after.size(), size_t{1}});
    variable.share = 1.0 / static_cast<double>(most);
  }
}

CoreState Core::initial_state() const {
  CoreState state;
  state.bound = constant_;
  for (const Variable& variable : variables_) {
    state.unary.insert(state.unary.end(), variable.cost.begin(), variable.cost.end());
  }
  state.taken.assign(taken_entries_, 0.0);
  return state;
}

bool Core::project(CoreState& state, const Edge& edge, bool to_second, uint64_t& operations) const {
  const Variable& from = variables_[to_second ? edge.first : edge.second];
  const Variable& to = variables_[to_second ? edge.second : edge.first];
  const double* table = to_second ? edge.by_first : edge.by_second;
  const double* taken_from =
      state.taken.data() + (to_second ? edge.taken_first : edge.taken_second);
  double* taken_to = state.taken.data() + (to_second ? edge.taken_second : edge.taken_first);
  const double* unary_from = state.unary.data() + from.offset;
  double* unary_to = state.unary.data() + to.offset;

  least_.assign(to.domain_size, kForbidden);
  operations += from.domain_size + 4 * to.domain_size;  // all but the table itself
  for (size_t value = 0; value < from.domain_size; ++value) {
    if (unary_from[value] == kForbidden) continue;
    lower_row(least_.data(), -taken_from[value], table + value * to.domain_size, to.domain_size);
    operations += to.domain_size;
  }
  bool any = false;
  for (size_t value = 0; value < to.domain_size; ++value) {
    if (unary_to[value] == kForbidden) continue;
    if (least_[value] == kForbidden) {
      unary_to[value] = kForbidden;
      continue;
    }
    unary_to[value] += least_[value] - taken_to[value];
    taken_to[value] = least_[value];
    any = true;
  }
  return any;
}

bool Core::settle(CoreState& state, size_t index, double cutoff) const {
  const std::span<double> costs = unary(state, index);
  const double least = *std::min_element(costs.begin(), costs.end());
  if (least == kForbidden) return false;
  state.bound += least;
  if (state.bound >= cutoff) return false;
  for (double& cost : costs) {
    cost -= least;
    if (state.bound + cost >= cutoff) cost = kForbidden;
  }
  return true;
}

void Core::distribute(CoreState& state, size_t index, const std::vector<uint32_t>& edges) const {
  const Variable& variable = variables_[index];
  const std::span<double> costs = unary(state, index);
  for (uint32_t edge_index : edges) {
    const Edge& edge = edges_[edge_index];
    double* taken =
        state.taken.data() + (edge.first == index ? edge.taken_first : edge.taken_second);
    for (size_t value = 0; value < costs.size(); ++value) {
      if (costs[value] != kForbidden) taken[value] -= variable.share * costs[value];
    }
  }
  const double rest = 1 - variable.share * static_cast<double>(edges.size());
  for (double& cost : costs) {
    if (cost != kForbidden) cost = edges.size() * variable.share == 1 ? 0 : cost * rest;
  }
}

bool Core::pass(CoreState& state, double cutoff, uint64_t& operations) const {
  for (size_t i = 0; i < variables_.size(); ++i) {
    for (uint32_t edge : variables_[i].before) {
      if (!project(state, edges_[edge], true, operations)) return false;
    }
    if (!settle(state, i, cutoff)) return false;
    distribute(state, i, variables_[i].after);
  }
  for (size_t i = variables_.size(); i-- > 0;) {
    for (uint32_t edge : variables_[i].after) {
      if (!project(state, edges_[edge], false, operations)) return false;
    }
    if (!settle(state, i, cutoff)) return false;
    distribute(state, i, variables_[i].before);
  }
  return true;
}

void Core::add_row(std::vector<double>& costs, const Edge& edge, size_t from,
                   uint32_t value) const {
  const double* row = (edge.first == from ? edge.by_first : edge.by_second) + value * costs.size();
  for (size_t i = 0; i < costs.size(); ++i) costs[i] += row[i];
}

std::optional<std::vector<uint32_t>> Core::greedy(const CoreState& state,
                                                  uint64_t& operations) const {
  std::vector<uint32_t> values(variables_.size(), 0);
  std::vector<double> costs;
  for (size_t i = 0; i < variables_.size(); ++i) {
    const std::span<const double> reduced = unary(state, i);
    costs.assign(reduced.begin(), reduced.end());
    // Earlier neighbours have decided; their edges cost what was not taken from them.
    for (uint32_t index : variables_[i].before) {
      const Edge& edge = edges_[index];
      add_row(costs, edge, edge.first, values[edge.first]);
      for (size_t v = 0; v < costs.size(); ++v) {
        if (costs[v] != kForbidden) costs[v] -= state.taken[edge.taken_second + v];
      }
      operations += costs.size();
    }
    values[i] = least_position(costs);
    if (costs[values[i]] == kForbidden) return std::nullopt;
  }
  return values;
}

double Core::cost(const std::vector<uint32_t>& values) const {
  double sum = constant_;
  for (size_t i = 0; i < variables_.size(); ++i) sum += variables_[i].cost[values[i]];
  for (const Edge& edge : edges_) {
    const size_t row = values[edge.first] * variables_[edge.second].domain_size;
    sum += edge.by_first[row + values[edge.second]];
  }
  return sum;
}

std::vector<double> Core::reduced_pairwise(const CoreState& state, size_t index) const {
  const Edge& edge = edges_[index];
  const size_t rows = variables_[edge.first].domain_size;
  const size_t columns = variables_[edge.second].domain_size;
  std::vector<double> result(edge.by_first, edge.by_first + rows * columns);
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      result[row * columns + column] -=
          state.taken[edge.taken_first + row] + state.taken[edge.taken_second + column];
    }
  }
  return result;
}

std::vector<double> Core::slack(const CoreState& state, const std::vector<uint32_t>& values) const {
  std::vector<double> result(variables_.size());
  for (size_t i = 0; i < variables_.size(); ++i) result[i] = unary(state, i)[values[i]];
  for (const Edge& edge : edges_) {
    const size_t row = values[edge.first] * variables_[edge.second].domain_size;
    const double cost = edge.by_first[row + values[edge.second]] -
                        state.taken[edge.taken_first + values[edge.first]] -
                        state.taken[edge.taken_second + values[edge.second]];
    result[edge.first] += cost;
    result[edge.second] += cost;
  }
  return result;
}

}  // namespace cleave::solver
