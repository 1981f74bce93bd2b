#include <cmath>

#include "base/check.h"
#include "planner/solver/solver.h"

namespace cleave::solver {

TableId CostNetwork::checked_table(std::span<const double> entries, size_t size, bool may_forbid) {
  CLEAVE_CHECK(entries.size() == size, "a cost table has the wrong size");
  std::vector<double> copy(entries.begin(), entries.end());
  for (double& entry : copy) {
    CLEAVE_CHECK(entry >= 0, "a cost is negative or not a number");
    CLEAVE_CHECK(may_forbid || std::isfinite(entry), "a number of bytes is infinite");
    entry += 0.0;  // -0 and 0 are one content
  }
  return tables_.intern(std::move(copy));
}

VariableId CostNetwork::add_variable(std::span<const double> unary_cost,
                                     std::span<const double> bytes) {
  Variable variable;
  variable.domain_size = static_cast<uint32_t>(unary_cost.size());
  variable.cost = checked_table(unary_cost, unary_cost.size(), true);
  if (!bytes.empty()) variable.bytes = checked_table(bytes, unary_cost.size(), false);
  variables_.push_back(variable);
  return VariableId(variables_.size() - 1);
}

VariableId CostNetwork::add_variable(std::initializer_list<double> unary_cost,
                                     std::initializer_list<double> bytes) {
  return add_variable(std::span<const double>(unary_cost.begin(), unary_cost.size()),
                      std::span<const double>(bytes.begin(), bytes.size()));
}

void CostNetwork::add_pairwise(VariableId a, VariableId b, std::span<const double> row_major_cost,
                               std::span<const double> bytes) {
  CLEAVE_CHECK(a.index() < variables_.size() && b.index() < variables_.size(),
               "a pairwise cost names an unknown variable");
  CLEAVE_CHECK(a != b, "a pairwise cost joins a variable to itself");
  Pairwise edge{a, b, {}, {}};
  const size_t size = domain_size(a) * domain_size(b);
  edge.cost = checked_table(row_major_cost, size, true);
  if (!bytes.empty()) edge.bytes = checked_table(bytes, size, false);
  pairwise_.push_back(edge);
}

double CostNetwork::cost(std::span<const uint32_t> values) const {
  CLEAVE_CHECK(values.size() == size(), "an assignment has the wrong size");
  double sum = 0;
  for (size_t i = 0; i < size(); ++i) sum += tables_.entries(variables_[i].cost)[values[i]];
  for (const Pairwise& edge : pairwise_) {
    const size_t row = values[edge.a.index()] * domain_size(edge.b);
    sum += tables_.entries(edge.cost)[row + values[edge.b.index()]];
  }
  return sum;
}

double CostNetwork::bytes(std::span<const uint32_t> values) const {
  CLEAVE_CHECK(values.size() == size(), "an assignment has the wrong size");
  double sum = 0;
  for (size_t i = 0; i < size(); ++i) {
    if (variables_[i].bytes.valid()) sum += tables_.entries(variables_[i].bytes)[values[i]];
  }
  for (const Pairwise& edge : pairwise_) {
    if (!edge.bytes.valid()) continue;
    const size_t row = values[edge.a.index()] * domain_size(edge.b);
    sum += tables_.entries(edge.bytes)[row + values[edge.b.index()]];
  }
  return sum;
}

}  // namespace cleave::solver
