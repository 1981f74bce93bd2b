// The network while it is being solved: variables leave it, factors of several variables enter it.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "planner/solver/solver.h"
#include "planner/solver/table_store.h"

namespace cleave::solver {

// The sum of `constant`, the unary tables and the factors of the variables that are left has the
// minimum of the network that it was made from; `expand` turns an assignment of what is left into
// one of the whole network with the same cost.
class FactorGraph {
 public:
  struct Variable {
    TableId unary;
    uint32_t domain_size = 0;
    bool alive = true;
    std::vector<uint32_t> factors;  // of at least two variables
  };
  // A dense row-major table over the values of `scope` (ascending, at least two variables).
  struct Factor {
    std::vector<uint32_t> scope;
    TableId table;
  };

  // The cost of `network` plus `price_per_byte` times its bytes.
  FactorGraph(const CostNetwork& network, double price_per_byte);

  size_t size() const { return variables_.size(); }
  const Variable& variable(uint32_t index) const { return variables_[index]; }
  const Factor& factor(uint32_t index) const { return factors_[index]; }
  std::span<const double> unary(uint32_t index) const {
    return tables_.entries(variables_[index].unary);
  }
  std::span<const double> entries(const Factor& factor) const {
    return tables_.entries(factor.table);
  }
  TableStore& tables() { return tables_; }
  double constant() const { return constant_; }
  // The variables that are left, ascending.
  std::vector<uint32_t> alive() const;
  // The other variables of the factors of `index`, ascending.
  std::vector<uint32_t> neighbours(uint32_t index) const;

  // Replaces `index` by the factor over its neighbours that gives the minimum over its values.
  // Returns the elementary operations done; equal surroundings are computed once.
  uint64_t eliminate(uint32_t index, Statistics& statistics);
  // Merges `index` into `neighbour`, each of whose values v is compatible with partner_of[v]
  // alone among those of `index`. All factors of both are of two variables.
  uint64_t merge(uint32_t index, uint32_t neighbour, std::span<const uint32_t> partner_of);
  // Keeps only the values of `index` at the positions `kept` (ascending).
  void restrict_domain(uint32_t index, const std::vector<uint32_t>& kept);
  // True where no value of some variable that is left is allowed, or the constant is forbidden.
  bool evidently_infeasible() const;

  // In: for each variable that is left, the position of its value now. Out: for each variable, its
  // value in the network.
  void expand(std::vector<uint32_t>& values) const;

 private:
  // What brings back a variable that left (its tables), or the values that it lost.
  struct Step {
    uint32_t variable;
    TableId unary;  // invalid: only values were lost
    std::vector<Factor> factors;
    std::vector<uint32_t> kept;
    uint32_t size_before;
  };

  void add_factor(std::vector<uint32_t> scope, TableId table);
  void remove_factors_of(uint32_t index, std::vector<Factor>& removed);
  void add_unary(uint32_t index, TableId table);
  TableId minimise_out(uint32_t index, const std::vector<Factor>& factors,
                       const std::vector<uint32_t>& scope, uint64_t& operations);
  uint32_t best_value(const Step& step, const std::vector<size_t>& sizes,
                      const std::vector<uint32_t>& values) const;
  TableId selected(TableId table, size_t outer, size_t inner, std::span<const uint32_t> kept);

  TableStore tables_;
  std::vector<Variable> variables_;
  std::vector<Factor> factors_;
  double constant_ = 0;
  std::vector<Step> steps_;
  std::map<std::vector<uint32_t>, TableId> eliminations_;
  std::map<std::vector<uint32_t>, TableId> selections_;
};

}  // namespace cleave::solver
