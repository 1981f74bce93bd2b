// The part of a network that reductions leave, in arrays, with the lower bound of its local
// polytope relaxation.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "planner/solver/factor_graph.h"

namespace cleave::solver {

// A reparametrisation of the network: everything that the bound's passes change. Invariant, but for
// rounding: `bound` + the unary costs + the pairwise costs less `taken` of both ends is the
// original cost, and each of these parts is at least 0 on values that are left.
struct CoreState {
  double bound = 0;
  std::vector<double> unary;  // kForbidden: the value is gone
  std::vector<double> taken;  // for each edge, from the values of its first end, then its second
};

// Sequential tree-reweighted message passing (Kolmogorov, "Convergent Tree-Reweighted Message
// Passing for Energy Minimization", 2006), written as moves of cost between pairwise and unary
// tables, so that every intermediate state is a bound and `bound` never falls.
class Core {
 public:
  // `graph` has only factors of two variables, and outlives the core.
  explicit Core(FactorGraph& graph);

  size_t size() const { return variables_.size(); }
  // The graph's variable.
  uint32_t variable(size_t index) const { return variables_[index].graph_variable; }
  size_t domain_size(size_t index) const { return variables_[index].domain_size; }
  std::span<const double> unary(const CoreState& state, size_t index) const {
    return {state.unary.data() + variables_[index].offset, variables_[index].domain_size};
  }
  std::span<double> unary(CoreState& state, size_t index) const {
    return {state.unary.data() + variables_[index].offset, variables_[index].domain_size};
  }
  // All costs are whole numbers, so that costs differ by at least 1.
  bool whole() const { return whole_; }
  size_t state_bytes() const { return (unary_entries_ + taken_entries_) * sizeof(double); }

  CoreState initial_state() const;
  // One pass forward and one back. Removes values that no assignment below `cutoff` has. False: no
  // such assignment exists.
  bool pass(CoreState& state, double cutoff, uint64_t& operations) const;
  // Each variable in turn takes its best value given those before. nullopt: a dead end.
  std::optional<std::vector<uint32_t>> greedy(const CoreState& state, uint64_t& operations) const;
  // Moves single variables while that lowers the cost.
  void descend(std::vector<uint32_t>& values, uint64_t& operations) const;
  // Moves all variables of a random induced forest to their joint optimum given the others; forest
  // after forest, until `patience` of them in a row gain nothing. `random` must not be 0.
  void descend_by_forests(std::vector<uint32_t>& values, int patience, uint64_t random,
                          uint64_t& operations, uint64_t max_operations) const;
  // Of `values`, which have no forbidden part: cost in the original tables.
  double cost(const std::vector<uint32_t>& values) const;
  // The graph's factors; both variables' indices, ascending; what was taken from it is subtracted.
  size_t edge_count() const { return edges_.size(); }
  uint32_t edge_factor(size_t edge) const { return edges_[edge].factor; }
  std::pair<uint32_t, uint32_t> edge_ends(size_t edge) const {
    return {edges_[edge].first, edges_[edge].second};
  }
  std::vector<double> reduced_pairwise(const CoreState& state, size_t edge) const;
  // What each variable adds to `values`' cost above state.bound.
  std::vector<double> slack(const CoreState& state, const std::vector<uint32_t>& values) const;

 private:
  struct Variable {
    uint32_t graph_variable;
    uint32_t domain_size;
    size_t offset;                 // into CoreState::unary
    std::span<const double> cost;  // original
    std::vector<uint32_t> before;  // edges to variables before it
    std::vector<uint32_t> after;
    double share;  // of its unary cost, given to each edge of the next pass
  };
  struct Edge {
    uint32_t factor;
    uint32_t first;
    uint32_t second;
    const double* by_first;   // a row for each value of `first`
    const double* by_second;  // the same, transposed
    size_t taken_first;       // into CoreState::taken
    size_t taken_second;
  };

  // Moves the least pairwise cost of each value of `to` into its unary cost.
  bool project(CoreState& state, const Edge& edge, bool to_second, uint64_t& operations) const;
  // Moves the least unary cost into the bound; removes values that are too dear.
  bool settle(CoreState& state, size_t index, double cutoff) const;
  // Moves a share of the unary cost into each of `edges`.
  void distribute(CoreState& state, size_t index, const std::vector<uint32_t>& edges) const;
  // The variables of a maximal induced forest, parents before children; `parent_edge` of each
  // variable: the edge to its parent, kRoot, or kOutside the forest.
  std::vector<uint32_t> random_forest(uint64_t& random, std::vector<uint32_t>& parent_edge) const;
  void optimise_forest(std::vector<uint32_t>& values, const std::vector<uint32_t>& forest,
                       const std::vector<uint32_t>& parent_edge, uint64_t& operations) const;
  // What each value of `index` costs with its neighbours' values; `skip`: with which neighbours
  // not.
  template <class Skip>
  void local_costs(size_t index, const std::vector<uint32_t>& values, Skip skip,
                   std::vector<double>& costs, uint64_t& operations) const;
  void add_row(std::vector<double>& costs, const Edge& edge, size_t from, uint32_t value) const;

  double constant_ = 0;
  bool whole_ = true;
  std::vector<Variable> variables_;
  std::vector<Edge> edges_;
  size_t unary_entries_ = 0;
  size_t taken_entries_ = 0;
  mutable std::vector<double> least_;  // scratch of project
};

}  // namespace cleave::solver
