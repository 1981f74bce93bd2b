#include "planner/solver/branch_and_bound.h"

#include <algorithm>
#include <cmath>

namespace cleave::solver {

namespace {

// A state is kept for each level of the search; beyond this it counts as out of budget.
constexpr size_t kMaxStateBytes = size_t{1} << 30;

// How much dearer than the incumbent an assignment may be to be improved by forests, and after how
// many forests without gain that ends.
constexpr double kPromising = 0.01;
constexpr int kForestPatience = 8;

size_t values_left(std::span<const double> unary) {
  return static_cast<size_t>(
      std::count_if(unary.begin(), unary.end(), [](double c) { return c != kForbidden; }));
}

}  // namespace

double Incumbent::cutoff() const {
  if (value_ == kForbidden) return kForbidden;
  // Rounding stays far below half a unit while costs are below 10^9.
  if (whole_ && value_ < 1e9) return value_ - 0.5;
  return value_ * (1 - 1e-10);
}

BranchAndBound::BranchAndBound(const Core& core, double value, uint64_t& operations,
                               uint64_t max_operations, Statistics& statistics)
    : core_(core),
      incumbent_(core.whole()),
      operations_(operations),
      max_operations_(max_operations),
      statistics_(statistics) {
  incumbent_.offer({}, value);
}

bool BranchAndBound::tighten_root(CoreState& state) { return tighten(state, 500, 1e-3); }

// Passes until one closes less than `least_gain` of the gap.
bool BranchAndBound::tighten(CoreState& state, int max_passes, double least_gain) {
  for (int pass = 0; pass < max_passes && operations_ < max_operations_; ++pass) {
    const double before = state.bound;
    if (!core_.pass(state, incumbent_.cutoff(), operations_)) return false;
    if (pass % 4 == 0) {
      if (const auto values = core_.greedy(state, operations_)) offer(*values);
    }
    if (state.bound >= incumbent_.cutoff()) return false;
    const double gap = std::min(incumbent_.cutoff(), 2 * state.bound) - state.bound;
    if (pass > 0 && state.bound - before <= least_gain * gap) break;
  }
  return true;
}

void BranchAndBound::offer(std::vector<uint32_t> values) {
  core_.descend(values, operations_);
  double value = core_.cost(values);
  if (value < incumbent_.value() * (1 + kPromising)) {
    core_.descend_by_forests(values, kForestPatience, 1 + statistics_.searched_nodes, operations_,
                             max_operations_);
    value = core_.cost(values);
  }
  incumbent_.offer(values, value);
}

double BranchAndBound::explore(CoreState& state) {
  if ((depth_ + 1) * core_.state_bytes() > kMaxStateBytes) return state.bound;
  while (true) {
    ++statistics_.searched_nodes;
    if (operations_ >= max_operations_) return state.bound;
    if (!tighten(state, 6, 0.05)) return kForbidden;
    const std::optional<Branch> branch = choose(state);
    if (state.bound >= incumbent_.cutoff() || !branch) return kForbidden;
    CoreState fixed = state;
    for (double& cost : core_.unary(fixed, branch->variable)) {
      if (&cost != &core_.unary(fixed, branch->variable)[branch->value]) cost = kForbidden;
    }
    ++depth_;
    const double unfinished = explore(fixed);
    --depth_;
    if (unfinished != kForbidden) return state.bound;
    core_.unary(state, branch->variable)[branch->value] = kForbidden;
  }
}

// The variable that costs the greedy assignment most above the bound, and the value it took there.
// nullopt: every variable has one value left.
std::optional<BranchAndBound::Branch> BranchAndBound::choose(const CoreState& state) {
  const auto values = core_.greedy(state, operations_);
  std::vector<double> scores(core_.size(), 0);
  if (values) {
    offer(*values);
    scores = core_.slack(state, *values);
  }
  std::optional<Branch> best;
  double best_score = -kForbidden;
  size_t best_left = 0;
  for (size_t i = 0; i < core_.size(); ++i) {
    const std::span<const double> unary = core_.unary(state, i);
    const size_t left = values_left(unary);
    if (left < 2) continue;
    if (best && (scores[i] < best_score || (scores[i] == best_score && left >= best_left))) {
      continue;
    }
    best_score = scores[i];
    best_left = left;
    const size_t least =
        static_cast<size_t>(std::min_element(unary.begin(), unary.end()) - unary.begin());
    best = Branch{i, values ? (*values)[i] : static_cast<uint32_t>(least)};
  }
  return best;
}

}  // namespace cleave::solver
