// Moves of single variables in a whole assignment, and mixtures of two assignments.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "planner/solver/solver.h"

namespace cleave::solver {

class LocalMoves {
 public:
  // `network` outlives this.
  explicit LocalMoves(const CostNetwork& network);

  // Gives each variable the smallest value that costs no more and keeps the bytes within
  // `bytes_limit` (kForbidden: none), until no single variable can change.
  void lower(std::vector<uint32_t>& values, double bytes_limit) const;
  // Moves single variables while that lowers the cost within `bytes_limit`.
  void descend(std::vector<uint32_t>& values, double bytes_limit) const;
  // The cheapest assignment within `bytes_limit` that takes one run of variables, in their order,
  // from `inside` and all others from `outside`.
  std::vector<uint32_t> best_run(const std::vector<uint32_t>& inside,
                                 const std::vector<uint32_t>& outside, double bytes_limit) const;

 private:
  struct Edge {
    uint32_t other;
    std::span<const double> cost;
    std::span<const double> bytes;
    size_t own_stride;
    size_t other_stride;
  };
  // What each value of `variable` costs and uses with its neighbours as they are.
  struct Local {
    std::vector<double> cost;
    std::vector<double> bytes;
  };

  void look(size_t variable, const std::vector<uint32_t>& values, Local& local) const;

  const CostNetwork& network_;
  std::vector<std::vector<Edge>> edges_;
};

}  // namespace cleave::solver
