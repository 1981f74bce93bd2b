// Exact search where the best price leaves a gap between the bound and the best plan: what the
// Lagrangian bound cannot exclude is eliminated with cost and bytes side by side, or enumerated.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "planner/solver/core.h"
#include "planner/solver/factor_graph.h"
#include "planner/solver/solver.h"

namespace cleave::solver {

class GapSearch {
 public:
  // At price `price_per_byte`; options.bytes_limit is set.
  GapSearch(const CostNetwork& network, const Options& options, double price_per_byte,
            Statistics& statistics);

  // Improves the assignment `values`, which is within the limit and costs `cost`. Returns a bound
  // on the cost of all assignments within the limit: the new cost if the search was completed.
  double run(std::vector<uint32_t>& values, double& cost);

 private:
  struct Bytes {
    std::vector<double> entries;  // above the least
    double least;                 // of those allowed
  };

  // Passes of the bound, with what they remove removed from the graphs. False: nothing is left.
  bool shrink(CoreState& state);
  Bytes bytes_above_least(std::span<const double> bytes) const;
  enum class Elimination { kGaveUp, kThinned, kExact };
  // With at most `max_choices` an entry; kExact: what is cheapest was found.
  Elimination eliminate(const CoreState& state, size_t max_choices, uint64_t max_operations);
  bool over_limit(const CoreState& state) const;
  double cutoff() const;
  // True: completed by elimination.
  bool close_by_elimination(CoreState& state);
  // A bound at the price on what was not finished; kForbidden if all was.
  double explore(CoreState& state);
  void offer(std::vector<uint32_t> values);

  const CostNetwork& network_;
  const Options& options_;
  double limit_;
  double price_;
  Statistics& statistics_;
  FactorGraph graph_;        // costs at the price
  FactorGraph bytes_graph_;  // the same factors: bytes
  std::optional<Core> core_;
  std::vector<uint32_t> best_values_;
  double best_cost_ = kForbidden;
  uint64_t max_steps_ = 0;
  size_t depth_ = 0;
};

}  // namespace cleave::solver
