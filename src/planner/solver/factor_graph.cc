#include "planner/solver/factor_graph.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "planner/solver/min_plus.h"

namespace cleave::solver {

FactorGraph::FactorGraph(const CostNetwork& network, double price_per_byte)
    : tables_(network.tables()) {
  const auto priced = [&](TableId cost, TableId bytes) {
    if (!bytes.valid() || price_per_byte == 0) return cost;
    return tables_.sum(cost, bytes, price_per_byte);
  };
  for (const CostNetwork::Variable& from : network.variables()) {
    variables_.push_back({priced(from.cost, from.bytes), from.domain_size, true, {}});
  }
  std::vector<TableId> priced_pairs;
  for (const CostNetwork::Pairwise& edge : network.pairwise()) {
    priced_pairs.push_back(priced(edge.cost, edge.bytes));
  }
  for (size_t i = 0; i < priced_pairs.size(); ++i) {
    const CostNetwork::Pairwise& edge = network.pairwise()[i];
    const uint32_t a = static_cast<uint32_t>(edge.a.index());
    const uint32_t b = static_cast<uint32_t>(edge.b.index());
    if (a < b) {
      add_factor({a, b}, priced_pairs[i]);
    } else {
      add_factor({b, a}, tables_.transposed(priced_pairs[i], variables_[a].domain_size));
    }
  }
}

std::vector<uint32_t> FactorGraph::alive() const {
  std::vector<uint32_t> result;
  for (uint32_t i = 0; i < variables_.size(); ++i) {
    if (variables_[i].alive) result.push_back(i);
  }
  return result;
}

std::vector<uint32_t> FactorGraph::neighbours(uint32_t index) const {
  std::vector<uint32_t> result;
  for (uint32_t factor : variables_[index].factors) {
    for (uint32_t other : factors_[factor].scope) {
      if (other != index) result.push_back(other);
    }
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

void FactorGraph::add_unary(uint32_t index, TableId table) {
  variables_[index].unary = tables_.sum(variables_[index].unary, table);
}

void FactorGraph::add_factor(std::vector<uint32_t> scope, TableId table) {
  uint32_t rarest = scope[0];
  for (uint32_t variable : scope) {
    if (variables_[variable].factors.size() < variables_[rarest].factors.size()) rarest = variable;
  }
  for (uint32_t index : variables_[rarest].factors) {
    if (factors_[index].scope == scope) {
      factors_[index].table = tables_.sum(factors_[index].table, table);
      return;
    }
  }
  const uint32_t index = static_cast<uint32_t>(factors_.size());
  for (uint32_t variable : scope) variables_[variable].factors.push_back(index);
  factors_.push_back({std::move(scope), table});
}

void FactorGraph::remove_factors_of(uint32_t index, std::vector<Factor>& removed) {
  for (uint32_t factor : variables_[index].factors) {
    for (uint32_t other : factors_[factor].scope) {
      if (other != index) std::erase(variables_[other].factors, factor);
    }
    removed.push_back(std::move(factors_[factor]));
  }
  variables_[index].factors.clear();
}

uint64_t FactorGraph::eliminate(uint32_t index, Statistics& statistics) {
  const std::vector<uint32_t> scope = neighbours(index);
  Step step{index, variables_[index].unary, {}, {}, 0};
  remove_factors_of(index, step.factors);
  variables_[index].alive = false;
  ++statistics.variables_eliminated;

  uint64_t operations = 0;
  if (scope.empty()) {
    const std::span<const double> costs = tables_.entries(step.unary);
    constant_ += costs.empty() ? kForbidden : *std::min_element(costs.begin(), costs.end());
    operations = costs.size();
  } else {
    const TableId result = minimise_out(index, step.factors, scope, operations);
    if (operations == 0) ++statistics.eliminations_reused;
    statistics.largest_table = std::max(statistics.largest_table, tables_.entries(result).size());
    if (scope.size() == 1) {
      add_unary(scope[0], result);
    } else {
      add_factor(scope, result);
    }
  }
  steps_.push_back(std::move(step));
  return operations;
}

TableId FactorGraph::minimise_out(uint32_t index, const std::vector<Factor>& factors,
                                  const std::vector<uint32_t>& scope, uint64_t& operations) {
  // The key describes the surroundings up to the names of the variables.
  std::vector<uint32_t> key{static_cast<uint32_t>(variables_[index].unary.index())};
  std::vector<size_t> shape;
  for (uint32_t variable : scope) {
    shape.push_back(variables_[variable].domain_size);
    key.push_back(variables_[variable].domain_size);
  }
  std::vector<std::vector<size_t>> dimensions(factors.size());
  std::vector<size_t> axis(factors.size());  // of the eliminated variable
  for (size_t i = 0; i < factors.size(); ++i) {
    key.push_back(static_cast<uint32_t>(factors[i].table.index()));
    for (size_t j = 0; j < factors[i].scope.size(); ++j) {
      if (factors[i].scope[j] == index) {
        axis[i] = j;
        key.push_back(~uint32_t{0});
        continue;
      }
      const auto at = std::lower_bound(scope.begin(), scope.end(), factors[i].scope[j]);
      dimensions[i].push_back(static_cast<size_t>(at - scope.begin()));
      key.push_back(static_cast<uint32_t>(dimensions[i].back()));
    }
  }
  const auto known = eliminations_.find(key);
  if (known != eliminations_.end()) return known->second;

  size_t size = variables_[index].domain_size;
  std::vector<std::vector<double>> moved(factors.size());
  std::vector<MinPlusOperand> operands;
  for (size_t i = 0; i < factors.size(); ++i) {
    std::span<const double> entries = tables_.entries(factors[i].table);
    if (axis[i] != 0) {
      size_t inner = 1;
      for (size_t j = axis[i]; j < dimensions[i].size(); ++j) inner *= shape[dimensions[i][j]];
      const size_t outer = entries.size() / std::max<size_t>(1, inner * size);
      moved[i].resize(entries.size());
      for (size_t o = 0; o < outer; ++o) {
        for (size_t v = 0; v < size; ++v) {
          std::copy_n(&entries[(o * size + v) * inner], inner, &moved[i][(v * outer + o) * inner]);
        }
      }
      entries = moved[i];
    }
    operands.push_back({entries, dimensions[i]});
  }
  std::vector<double> result = min_plus(tables_.entries(variables_[index].unary), operands, shape);
  operations = std::max<uint64_t>(1, result.size() * size);
  const TableId id = tables_.intern(std::move(result));
  eliminations_.emplace(std::move(key), id);
  return id;
}

uint64_t FactorGraph::merge(uint32_t index, uint32_t neighbour,
                            std::span<const uint32_t> partner_of) {
  Step step{index, variables_[index].unary, {}, {}, 0};
  remove_factors_of(index, step.factors);
  variables_[index].alive = false;
  const size_t rows = variables_[neighbour].domain_size;
  const std::span<const double> merged_unary = tables_.entries(step.unary);
  uint64_t operations = 0;
  for (const Factor& factor : step.factors) {
    const bool first = factor.scope[0] == index;
    const uint32_t other = first ? factor.scope[1] : factor.scope[0];
    const TableId by_index =
        first ? factor.table
              : tables_.transposed(factor.table, variables_[factor.scope[0]].domain_size);
    const size_t columns = variables_[other].domain_size;
    operations += rows * columns;
    if (other == neighbour) {
      std::vector<double> unary(rows);
      for (size_t row = 0; row < rows; ++row) {
        unary[row] = merged_unary[partner_of[row]] +
                     tables_.entries(by_index)[partner_of[row] * columns + row];
      }
      add_unary(neighbour, tables_.intern(std::move(unary)));
      continue;
    }
    const TableId table = selected(by_index, 1, columns, partner_of);
    if (neighbour < other) {
      add_factor({neighbour, other}, table);
    } else {
      add_factor({other, neighbour}, tables_.transposed(table, rows));
    }
  }
  steps_.push_back(std::move(step));
  return operations;
}

TableId FactorGraph::selected(TableId table, size_t outer, size_t inner,
                              std::span<const uint32_t> kept) {
  std::vector<uint32_t> key{static_cast<uint32_t>(table.index()), static_cast<uint32_t>(outer),
                            static_cast<uint32_t>(inner)};
  key.insert(key.end(), kept.begin(), kept.end());
  const auto known = selections_.find(key);
  if (known != selections_.end()) return known->second;
  const std::span<const double> entries = tables_.entries(table);
  const size_t extent = entries.size() / std::max<size_t>(1, outer * inner);
  std::vector<double> result;
  result.reserve(outer * kept.size() * inner);
  for (size_t o = 0; o < outer; ++o) {
    for (uint32_t value : kept) {
      const double* from = entries.data() + (o * extent + value) * inner;
      result.insert(result.end(), from, from + inner);
    }
  }
  const TableId id = tables_.intern(std::move(result));
  selections_.emplace(std::move(key), id);
  return id;
}

void FactorGraph::restrict_domain(uint32_t index, const std::vector<uint32_t>& kept) {
  Variable& variable = variables_[index];
  variable.unary = selected(variable.unary, 1, 1, kept);
  for (uint32_t factor_index : variable.factors) {
    Factor& factor = factors_[factor_index];
    size_t outer = 1;
    size_t inner = 1;
    bool before = true;
    for (uint32_t other : factor.scope) {
      if (other == index) {
        before = false;
      } else {
        (before ? outer : inner) *= variables_[other].domain_size;
      }
    }
    factor.table = selected(factor.table, outer, inner, kept);
  }
  steps_.push_back({index, {}, {}, kept, variable.domain_size});
  variable.domain_size = static_cast<uint32_t>(kept.size());
}

bool FactorGraph::evidently_infeasible() const {
  if (constant_ == kForbidden) return true;
  for (uint32_t i = 0; i < variables_.size(); ++i) {
    if (!variables_[i].alive) continue;
    const std::span<const double> costs = unary(i);
    if (std::none_of(costs.begin(), costs.end(), [](double c) { return std::isfinite(c); })) {
      return true;
    }
  }
  return false;
}

void FactorGraph::expand(std::vector<uint32_t>& values) const {
  std::vector<size_t> sizes;  // of the domains as they were at each step
  for (const Variable& variable : variables_) sizes.push_back(variable.domain_size);
  for (size_t i = steps_.size(); i-- > 0;) {
    const Step& step = steps_[i];
    if (step.unary.valid()) {
      values[step.variable] = best_value(step, sizes, values);
    } else {
      values[step.variable] = step.kept[values[step.variable]];
      sizes[step.variable] = step.size_before;
    }
  }
}

uint32_t FactorGraph::best_value(const Step& step, const std::vector<size_t>& sizes,
                                 const std::vector<uint32_t>& values) const {
  const std::span<const double> unary = tables_.entries(step.unary);
  std::vector<double> costs(unary.begin(), unary.end());
  for (const Factor& factor : step.factors) {
    size_t offset = 0;  // of the entry for the neighbours' values and the variable's value 0
    size_t stride = 0;  // from one value of the variable to the next
    for (uint32_t variable : factor.scope) {
      offset *= sizes[variable];
      stride *= sizes[variable];
      if (variable == step.variable) {
        stride = 1;
      } else {
        offset += values[variable];
      }
    }
    const std::span<const double> entries = tables_.entries(factor.table);
    for (size_t value = 0; value < costs.size(); ++value) {
      costs[value] += entries[offset + value * stride];
    }
  }
  return static_cast<uint32_t>(std::min_element(costs.begin(), costs.end()) - costs.begin());
}

}  // namespace cleave::solver
