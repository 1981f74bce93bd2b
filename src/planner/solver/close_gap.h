// Exact search where the best price leaves a gap: what the Lagrangian bound cannot exclude is
// enumerated, within a part of the budget.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/solver/core.h"
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
  bool over_limit(const CoreState& state) const;
  double cutoff() const;
  // A bound at the price on what was not finished; kForbidden if all was.
  double explore(CoreState& state);
  void offer(const std::vector<uint32_t>& values);

  const CostNetwork& network_;
  double limit_;
  double price_;
  Statistics& statistics_;
  uint64_t max_steps_;
  FactorGraph graph_;
  Core core_;
  std::vector<double> pairwise_least_bytes_;
  double least_pairwise_bytes_ = 0;
  std::vector<uint32_t> best_values_;
  double best_cost_ = kForbidden;
  size_t depth_ = 0;
};

}  // namespace cleave::solver
