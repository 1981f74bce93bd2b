#include "planner/solver/close_gap.h"

#include <algorithm>

namespace cleave::solver {

namespace {

// The part of the budget for this search, in operations: a fraction of a second.
constexpr uint64_t kMaxOperations = 1000'000'000;
constexpr size_t kMaxStateBytes = size_t{1} << 28;

}  // namespace

GapSearch::GapSearch(const CostNetwork& network, const Options& options, double price_per_byte,
                     Statistics& statistics)
    : network_(network),
      limit_(*options.bytes_limit),
      price_(price_per_byte),
      statistics_(statistics),
      max_steps_(std::min(options.step_budget, statistics.steps + kMaxOperations)),
      graph_(network, price_per_byte),
      core_(graph_) {
  for (const CostNetwork::Pairwise& edge : network.pairwise()) {
    if (!edge.bytes.valid()) continue;
    const std::span<const double> bytes = network.tables().entries(edge.bytes);
    least_pairwise_bytes_ += *std::min_element(bytes.begin(), bytes.end());
  }
}

double GapSearch::run(std::vector<uint32_t>& values, double& cost) {
  best_values_ = values;
  best_cost_ = cost;
  CoreState state = core_.initial_state();
  double bound = 0;
  for (int pass = 0; pass < 100 && statistics_.steps < max_steps_; ++pass) {
    const double before = state.bound;
    if (!core_.pass(state, cutoff(), statistics_.steps)) {
      bound = kForbidden;
      break;
    }
    if (state.bound - before <= 1e-3 * (cutoff() - state.bound)) break;
  }
  if (bound != kForbidden) bound = explore(state);
  values = best_values_;
  cost = best_cost_;
  return std::min(best_cost_, bound == kForbidden ? best_cost_ : bound - price_ * limit_);
}

double GapSearch::cutoff() const { return best_cost_ * (1 - 1e-10) + price_ * limit_; }

bool GapSearch::over_limit(const CoreState& state) const {
  double least = least_pairwise_bytes_;
  for (size_t i = 0; i < core_.size(); ++i) {
    const CostNetwork::Variable& variable = network_.variables()[i];
    if (!variable.bytes.valid()) continue;
    const std::span<const double> bytes = network_.tables().entries(variable.bytes);
    const std::span<const double> unary = core_.unary(state, i);
    double fewest = kForbidden;
    for (size_t v = 0; v < unary.size(); ++v) {
      if (unary[v] != kForbidden) fewest = std::min(fewest, bytes[v]);
    }
    least += fewest;
  }
  return least > limit_ * (1 + 1e-12);
}

void GapSearch::offer(const std::vector<uint32_t>& values) {
  const double cost = network_.cost(values);
  if (cost >= best_cost_ || network_.bytes(values) > limit_) return;
  best_cost_ = cost;
  best_values_ = values;
}

double GapSearch::explore(CoreState& state) {
  if ((depth_ + 1) * core_.state_bytes() > kMaxStateBytes) return state.bound;
  while (true) {
    ++statistics_.searched_nodes;
    if (statistics_.steps >= max_steps_) return state.bound;
    for (int pass = 0; pass < 2; ++pass) {
      if (!core_.pass(state, cutoff(), statistics_.steps)) return kForbidden;
    }
    if (over_limit(state)) return kForbidden;
    if (const auto values = core_.greedy(state, statistics_.steps)) offer(*values);
    if (state.bound >= cutoff()) return kForbidden;

    // The variable with the most values left to tell apart, at its cheapest value.
    size_t branch = core_.size();
    size_t fewest = 0;
    for (size_t i = 0; i < core_.size(); ++i) {
      const std::span<const double> unary = core_.unary(state, i);
      const size_t left =
          unary.size() - static_cast<size_t>(std::count(unary.begin(), unary.end(), kForbidden));
      if (left > 1 && (branch == core_.size() || left < fewest)) {
        branch = i;
        fewest = left;
      }
    }
    if (branch == core_.size()) return kForbidden;
    const std::span<double> unary = core_.unary(state, branch);
    const size_t value =
        static_cast<size_t>(std::min_element(unary.begin(), unary.end()) - unary.begin());
    CoreState fixed = state;
    const std::span<double> fixed_unary = core_.unary(fixed, branch);
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
