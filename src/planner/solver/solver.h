// The exact minimum of a pairwise cost-function network (weighted CSP, MRF MAP inference).
// Knows no neural networks: variables with values, costs of values and of pairs of values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "base/strong_id.h"
#include "planner/solver/table_store.h"

namespace cleave::solver {

using VariableId = StrongId<struct VariableTag>;

inline constexpr double kForbidden = std::numeric_limits<double>::infinity();

// The problem. Costs are any one unit (the planner uses microseconds), at least 0, and kForbidden
// where a value or a pair of values may not be chosen. Bytes are the use of one shared resource,
// finite and at least 0. A table given many times is stored once. A malformed argument (wrong size,
// negative, NaN) is an internal error.
class CostNetwork {
 public:
  struct Variable {
    TableId cost;
    TableId bytes;  // invalid: uses none
    uint32_t domain_size = 0;
  };
  // Tables are row-major: a value of `a` is a row.
  struct Pairwise {
    VariableId a;
    VariableId b;
    TableId cost;
    TableId bytes;  // invalid: uses none
  };

  // A variable whose values are 0 .. unary_cost.size() - 1; without values it is infeasible.
  // `bytes`: one for each value, or empty for none.
  VariableId add_variable(std::span<const double> unary_cost, std::span<const double> bytes = {});
  // Adds to the cost (and bytes) of each pair of values of two different variables.
  void add_pairwise(VariableId a, VariableId b, std::span<const double> row_major_cost,
                    std::span<const double> bytes = {});
  // The same, from braces.
  VariableId add_variable(std::initializer_list<double> unary_cost,
                          std::initializer_list<double> bytes = {});

  size_t size() const { return variables_.size(); }
  size_t domain_size(VariableId variable) const { return variables_[variable.index()].domain_size; }
  const std::vector<Variable>& variables() const { return variables_; }
  const std::vector<Pairwise>& pairwise() const { return pairwise_; }
  const TableStore& tables() const { return tables_; }

  // What the assignment `values` (one for each variable, in range) costs and uses.
  double cost(std::span<const uint32_t> values) const;
  double bytes(std::span<const uint32_t> values) const;

 private:
  TableId checked_table(std::span<const double> entries, size_t size, bool may_forbid);

  TableStore tables_;
  std::vector<Variable> variables_;
  std::vector<Pairwise> pairwise_;
};

struct Options {
  // The most bytes that the values may use together.
  std::optional<double> bytes_limit;
  // Work allowed, in elementary table operations (one entry read and compared; 10^8 to
  // 10^9 a second). A count, never a time: equal inputs give equal results on every machine.
  uint64_t step_budget = 5'000'000'000;
  // The largest table that variable elimination may make, in entries (8 bytes each).
  size_t max_table_entries = size_t{1} << 22;
};

enum class Status {
  kOptimal,          // value and bound meet
  kBudgetExhausted,  // the best found, with its bound
  kForbidden,        // no assignment avoids kForbidden; see infeasible_variable
  kOverBytesLimit,   // the fewest bytes possible exceed the limit; `bytes` is that minimum
  kUndecided,        // the budget ended before any feasible assignment was found
};

struct Statistics {
  size_t values_removed = 0;    // by reductions: forbidden, dominated or too dear
  size_t variables_merged = 0;  // determined by a neighbour
  size_t variables_eliminated = 0;
  size_t eliminations_reused = 0;  // of these: a table that was already known
  size_t largest_table = 0;        // entries
  size_t core_variables = 0;       // left to branch and bound
  uint64_t searched_nodes = 0;
  size_t price_steps = 0;  // prices tried for `bytes_limit`
  uint64_t steps = 0;      // elementary table operations
};

struct Solution {
  Status status = Status::kUndecided;
  bool feasible = false;         // `values` is an assignment within all limits
  bool optimal = false;          // value - bound <= 1e-9 * value
  std::vector<uint32_t> values;  // one for each variable; empty unless feasible
  double value = kForbidden;     // cost of `values`
  double bound = 0;              // no feasible assignment costs less
  double gap = 0;                // (value - bound) / value; 0 where both are 0
  double bytes = 0;              // used by `values`; see kOverBytesLimit
  double price_per_byte = 0;     // cost saved by a byte more, at the limit (Lagrangian dual)
  // kForbidden: the first variable, in order of addition, that has no value compatible with any
  // assignment of those before it.
  VariableId infeasible_variable;
  Statistics statistics;
};

// Finds the minimum (design: README.md). Deterministic: equal networks, options give equal
// solutions. Among assignments of equal cost it returns one in which no single variable could take
// a smaller value at the same cost and within the bytes limit; not always the lexicographically
// first of all.
Solution solve(const CostNetwork& network, const Options& options = {});

}  // namespace cleave::solver
