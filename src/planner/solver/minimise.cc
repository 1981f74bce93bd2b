#include "planner/solver/minimise.h"

#include <algorithm>

#include "planner/solver/branch_and_bound.h"
#include "planner/solver/elimination_order.h"
#include "planner/solver/factor_graph.h"
#include "planner/solver/reduce.h"

namespace cleave::solver {

namespace {

// Below this many operations elimination is done at once, without a look at the values.
constexpr double kCheapOperations = 3e8;
// All tables of one elimination together, in tables of the largest size allowed.
constexpr double kTablesOfLargestSize = 16;
// Values that the bound must remove, as a share of all, before reductions are tried again.
constexpr double kWorthReducing = 0.02;

class Minimiser {
 public:
  Minimiser(const CostNetwork& network, double price_per_byte, const Options& options,
            Statistics& statistics)
      : network_(network),
        price_(price_per_byte),
        max_entries_(static_cast<double>(options.max_table_entries)),
        budget_(options.step_budget),
        statistics_(statistics),
        graph_(network, price_per_byte) {}

  Minimum run() {
    if (graph_.evidently_infeasible()) return infeasible();
    if (eliminate_all(kCheapOperations)) return finish();
    const bool done = reduce() || shrink_and_search();
    return done ? finish() : best_;
  }

 private:
  Minimum infeasible() {
    best_.bound = kForbidden;
    return best_;
  }

  // Where the whole graph can be eliminated within `max_operations`, does so.
  bool eliminate_all(double max_operations) {
    const EliminationOrder order = plan_elimination(graph_, graph_.size(), max_entries_);
    const double left = static_cast<double>(budget_) - static_cast<double>(statistics_.steps);
    if (!order.complete || order.operations > std::min(max_operations, left) ||
        order.table_entries > kTablesOfLargestSize * max_entries_) {
      return false;
    }
    for (uint32_t variable : order.variables) {
      statistics_.steps += graph_.eliminate(variable, statistics_);
    }
    return true;
  }

  // True: nothing is left to decide.
  bool reduce() {
    const uint64_t left = budget_ - std::min(budget_, statistics_.steps);
    statistics_.steps += reduce_to_fixpoint(graph_, max_entries_, left, statistics_);
    return graph_.evidently_infeasible() || graph_.alive().empty() ||
           eliminate_all(kCheapOperations);
  }

  // The bound removes values, which lets reductions remove more; what remains is searched.
  // False: best_ is final.
  bool shrink_and_search() {
    while (true) {
      const Core core(graph_);
      BranchAndBound search(core, best_.value, statistics_.steps, budget_, statistics_);
      CoreState state = core.initial_state();
      const bool open = search.tighten_root(state);
      take(core, search.incumbent());
      best_.bound = std::max(best_.bound, std::min(state.bound, best_.value));
      if (!open) return proven();
      if (restrict_to(core, state)) {
        if (reduce()) return true;
        continue;
      }
      // Elimination at any affordable size before search.
      if (eliminate_all(static_cast<double>(budget_))) return true;
      statistics_.core_variables = std::max(statistics_.core_variables, core.size());
      const double unfinished = search.explore(state);
      take(core, search.incumbent());
      if (unfinished == kForbidden) return proven();
      best_.bound = std::max(best_.bound, std::min(unfinished, best_.value));
      return false;
    }
  }

  bool proven() {
    best_.bound = best_.value;
    return false;
  }

  // Removes in the graph what the bound removed, if that is worth it.
  bool restrict_to(const Core& core, const CoreState& state) {
    size_t all = 0;
    size_t gone = 0;
    for (double cost : state.unary) {
      ++all;
      if (cost == kForbidden) ++gone;
    }
    if (static_cast<double>(gone) <= kWorthReducing * static_cast<double>(all)) return false;
    statistics_.values_removed += gone;
    for (size_t i = 0; i < core.size(); ++i) {
      std::vector<uint32_t> kept;
      const std::span<const double> unary = core.unary(state, i);
      for (uint32_t value = 0; value < unary.size(); ++value) {
        if (unary[value] != kForbidden) kept.push_back(value);
      }
      if (kept.size() < unary.size()) graph_.restrict_domain(core.variable(i), kept);
    }
    return true;
  }

  // Keeps the incumbent of a search as an assignment of the whole network.
  void take(const Core& core, const Incumbent& incumbent) {
    if (incumbent.values().empty()) return;
    std::vector<uint32_t> values(network_.size(), 0);
    for (size_t i = 0; i < core.size(); ++i) values[core.variable(i)] = incumbent.values()[i];
    offer(std::move(values));
  }

  void offer(std::vector<uint32_t> values) {
    graph_.expand(values);
    const double value = network_.cost(values) + price_ * network_.bytes(values);
    if (value >= best_.value) return;
    best_.found = true;
    best_.value = value;
    best_.values = std::move(values);
  }

  // The graph has nothing left, or allows nothing: its assignment or the one known is the minimum.
  Minimum finish() {
    if (!graph_.evidently_infeasible()) offer(std::vector<uint32_t>(network_.size(), 0));
    best_.bound = best_.value;
    return best_;
  }

  const CostNetwork& network_;
  double price_;
  double max_entries_;
  uint64_t budget_;
  Statistics& statistics_;
  FactorGraph graph_;
  Minimum best_;
};

}  // namespace

Minimum minimise(const CostNetwork& network, double price_per_byte, const Options& options,
                 Statistics& statistics) {
  return Minimiser(network, price_per_byte, options, statistics).run();
}

}  // namespace cleave::solver
