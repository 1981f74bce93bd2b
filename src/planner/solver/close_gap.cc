#include "planner/solver/close_gap.h"

#include <algorithm>

#include "planner/solver/derived_networks.h"
#include "planner/solver/elimination_order.h"
#include "planner/solver/pareto_elimination.h"

namespace cleave::solver {

namespace {

// The parts of the budget, in operations: together a fraction of a second.
constexpr uint64_t kMaxPassOperations = 40'000'000;
constexpr uint64_t kMaxThinnedOperations = 40'000'000;
constexpr uint64_t kMaxParetoOperations = 80'000'000;
constexpr uint64_t kMaxExploreOperations = 10'000'000;
constexpr size_t kFewChoices = 8;
constexpr size_t kMaxStateBytes = size_t{1} << 28;
constexpr double kRounding = 1e-13;

}  // namespace

GapSearch::GapSearch(const CostNetwork& network, const Options& options, double price_per_byte,
                     Statistics& statistics)
    : network_(network),
      options_(options),
      limit_(*options.bytes_limit),
      price_(price_per_byte),
      statistics_(statistics),
      graph_(network, price_per_byte),
      bytes_graph_(bytes_network(network), 0) {}

double GapSearch::run(std::vector<uint32_t>& values, double& cost) {
  best_values_ = values;
  best_cost_ = cost;
  CoreState state;
  double unfinished = kForbidden;
  if (shrink(state) && !close_by_elimination(state)) {
    max_steps_ = std::min(options_.step_budget, statistics_.steps + kMaxExploreOperations);
    unfinished = explore(state);
  }
  values = best_values_;
  cost = best_cost_;
  return std::min(best_cost_, unfinished - price_ * limit_);
}

double GapSearch::cutoff() const { return best_cost_ * (1 - 1e-10) + price_ * limit_; }

bool GapSearch::shrink(CoreState& state) {
  max_steps_ = std::min(options_.step_budget, statistics_.steps + kMaxPassOperations);
  while (true) {
    core_.emplace(graph_);
    state = core_->initial_state();
    for (int pass = 0; pass < 200 && statistics_.steps < max_steps_; ++pass) {
      const double before = state.bound;
      if (!core_->pass(state, cutoff(), statistics_.steps)) return false;
      if (pass % 8 == 0) {
        if (const auto values = core_->greedy(state, statistics_.steps)) offer(*values);
      }
      if (state.bound - before <= 1e-3 * (cutoff() - state.bound)) break;
    }
    const size_t gone =
        static_cast<size_t>(std::count(state.unary.begin(), state.unary.end(), kForbidden));
    if (gone * 20 <= state.unary.size()) return true;
    for (uint32_t i = 0; i < core_->size(); ++i) {
      std::vector<uint32_t> kept;
      const std::span<const double> unary = core_->unary(state, i);
      for (uint32_t v = 0; v < unary.size(); ++v) {
        if (unary[v] != kForbidden) kept.push_back(v);
      }
      if (kept.size() == unary.size()) continue;
      graph_.restrict_domain(i, kept);
      bytes_graph_.restrict_domain(i, kept);
    }
  }
}

bool GapSearch::close_by_elimination(CoreState& state) {
  // A good plan first: it lets the exact elimination exclude more.
  const Elimination first = eliminate(state, kFewChoices, kMaxThinnedOperations);
  if (first != Elimination::kThinned) return first == Elimination::kExact;
  return !shrink(state) ||
         eliminate(state, options_.max_table_entries, kMaxParetoOperations) == Elimination::kExact;
}

GapSearch::Bytes GapSearch::bytes_above_least(std::span<const double> bytes) const {
  Bytes result{std::vector<double>(bytes.begin(), bytes.end()), 0};
  const double least = *std::min_element(bytes.begin(), bytes.end());
  if (least == kForbidden) return result;
  result.least = least;
  for (double& entry : result.entries) entry -= least;
  return result;
}

GapSearch::Elimination GapSearch::eliminate(const CoreState& state, size_t max_choices,
                                            uint64_t max_operations) {
  const double max_entries = static_cast<double>(options_.max_table_entries);
  const EliminationOrder order = plan_elimination(graph_, graph_.size(), max_entries);
  if (!order.complete || statistics_.steps >= options_.step_budget) {
    return Elimination::kGaveUp;
  }
  std::vector<Bytes> unary_bytes, pairwise_bytes;
  double spare = limit_;
  for (uint32_t i = 0; i < core_->size(); ++i) {
    unary_bytes.push_back(bytes_above_least(bytes_graph_.unary(i)));
    spare -= unary_bytes.back().least;
  }
  for (size_t edge = 0; edge < core_->edge_count(); ++edge) {
    const FactorGraph::Factor& factor = bytes_graph_.factor(core_->edge_factor(edge));
    pairwise_bytes.push_back(bytes_above_least(bytes_graph_.entries(factor)));
    spare -= pairwise_bytes.back().least;
  }
  ParetoElimination elimination({price_, cutoff() - state.bound, spare + kRounding * limit_,
                                 kRounding * cutoff(), options_.max_table_entries,
                                 std::min(options_.step_budget, statistics_.steps + max_operations),
                                 max_choices});
  for (uint32_t i = 0; i < core_->size(); ++i) {
    elimination.add_variable(core_->unary(state, i), unary_bytes[i].entries);
  }
  for (size_t edge = 0; edge < core_->edge_count(); ++edge) {
    const auto [a, b] = core_->edge_ends(edge);
    elimination.add_pairwise(a, b, core_->reduced_pairwise(state, edge),
                             pairwise_bytes[edge].entries);
  }
  const ParetoElimination::Result result = elimination.run(order.variables, statistics_.steps);
  if (result.complete && !result.values.empty()) offer(result.values);
  if (!result.complete) return Elimination::kGaveUp;
  return result.exact ? Elimination::kExact : Elimination::kThinned;
}

bool GapSearch::over_limit(const CoreState& state) const {
  double least = 0;
  for (uint32_t i = 0; i < core_->size(); ++i) {
    const std::span<const double> bytes = bytes_graph_.unary(i);
    const std::span<const double> unary = core_->unary(state, i);
    double fewest = kForbidden;
    for (size_t v = 0; v < unary.size(); ++v) {
      if (unary[v] != kForbidden) fewest = std::min(fewest, bytes[v]);
    }
    least += fewest;
  }
  return least > limit_ * (1 + 1e-12);
}

void GapSearch::offer(std::vector<uint32_t> values) {
  graph_.expand(values);
  const double cost = network_.cost(values);
  if (cost >= best_cost_ || network_.bytes(values) > limit_) return;
  best_cost_ = cost;
  best_values_ = std::move(values);
}

double GapSearch::explore(CoreState& state) {
  if ((depth_ + 1) * core_->state_bytes() > kMaxStateBytes) return state.bound;
  while (true) {
    ++statistics_.searched_nodes;
    if (statistics_.steps >= max_steps_) return state.bound;
    for (int pass = 0; pass < 2; ++pass) {
      if (!core_->pass(state, cutoff(), statistics_.steps)) return kForbidden;
    }
    if (over_limit(state)) return kForbidden;
    if (const auto values = core_->greedy(state, statistics_.steps)) offer(*values);
    if (state.bound >= cutoff()) return kForbidden;

    // The variable with the fewest values left, at its cheapest one.
    size_t branch = core_->size();
    size_t fewest = 0;
    for (size_t i = 0; i < core_->size(); ++i) {
      const std::span<const double> unary = core_->unary(state, i);
      const size_t left =
          unary.size() - static_cast<size_t>(std::count(unary.begin(), unary.end(), kForbidden));
      if (left > 1 && (branch == core_->size() || left < fewest)) {
        branch = i;
        fewest = left;
      }
    }
    if (branch == core_->size()) return kForbidden;
    const std::span<double> unary = core_->unary(state, branch);
    const size_t value =
        static_cast<size_t>(std::min_element(unary.begin(), unary.end()) - unary.begin());
    CoreState fixed = state;
    const std::span<double> fixed_unary = core_->unary(fixed, branch);
    for (size_t v = 0; v < fixed_unary.size(); ++v) {
      if (v != value) fixed_unary[v] = kForbidden;
    }
    ++depth_;
    const double unfinished = explore(fixed);
    --depth_;
    if (unfinished != kForbidden) return state.bound;
    unary[value] = kForbidden;
  }
}

}  // namespace cleave::solver
