#include "planner/solver/bytes_price.h"

#include <algorithm>
#include <cmath>

#include "planner/solver/close_gap.h"
#include "planner/solver/derived_networks.h"
#include "planner/solver/local_moves.h"
#include "planner/solver/minimise.h"

namespace cleave::solver {

namespace {

// Each price is the crossing of two plans' lines, so few are needed; this bounds what rounding
// could do.
constexpr size_t kMaxPrices = 100;
// Relative; costs this near are one.
constexpr double kRounding = 1e-12;
// In terms of the best price.
constexpr double kPricesNearby[] = {0.8, 0.95, 1.05, 1.25};
constexpr int kMaxRounds = 10;

struct Plan {
  bool found = false;
  std::vector<uint32_t> values;
  double cost = kForbidden;
  double bytes = 0;
  double priced(double price) const { return cost + price * bytes; }
};

class PriceSearch {
 public:
  PriceSearch(const CostNetwork& network, const Options& options, Solution& solution)
      : network_(network),
        options_(options),
        limit_(*options.bytes_limit),
        solution_(solution),
        moves_(network) {}

  void run() {
    if (!start()) return;
    search_price();
    improve();
    if (!closed()) close();
    solution_.feasible = true;
    solution_.values = best_.values;
  }

 private:
  Plan plan_of(std::vector<uint32_t> values) const {
    Plan plan;
    plan.found = true;
    plan.cost = network_.cost(values);
    plan.bytes = network_.bytes(values);
    plan.values = std::move(values);
    return plan;
  }

  Minimum minimum_at(double price) {
    ++solution_.statistics.price_steps;
    const Minimum minimum = minimise(network_, price, options_, solution_.statistics);
    const double bound = minimum.bound - price * limit_;
    if (bound > solution_.bound) {
      solution_.bound = bound;
      solution_.price_per_byte = price;
    }
    return minimum;
  }

  void offer(const Plan& plan) {
    if (plan.bytes <= limit_ && plan.cost < best_.cost) best_ = plan;
  }

  // The two ends of the search: the cheapest plan, and one with the fewest bytes. False: done.
  bool start() {
    const Minimum cheapest = minimum_at(0);
    if (cheapest.bound == kForbidden) {
      solution_.status = Status::kForbidden;
      return false;
    }
    if (cheapest.found) {
      dear_ = plan_of(cheapest.values);
      seen(dear_);
      if (dear_.bytes <= limit_) return true;
    }
    const Minimum fewest = minimise(bytes_network(network_), 0, options_, solution_.statistics);
    if (fewest.bound > limit_) {
      solution_.status = Status::kOverBytesLimit;
      solution_.bytes = fewest.found ? fewest.value : fewest.bound;
      return false;
    }
    if (fewest.found) {
      small_ = plan_of(fewest.values);
      seen(small_);
    }
    return best_.found;
  }

  // Each price is where the plan over the limit and the plan within it cost the same; a plan
  // cheaper than both at that price replaces one of them. Where there is none, the price is the
  // best: the dual is concave, and both its slopes are known.
  void search_price() {
    if (!dear_.found || dear_.bytes <= limit_ || !small_.found) return;
    while (solution_.statistics.price_steps < kMaxPrices &&
           solution_.statistics.steps < options_.step_budget) {
      const double price = (small_.cost - dear_.cost) / (dear_.bytes - small_.bytes);
      if (!(price > 0) || !std::isfinite(price)) return;
      const Minimum minimum = minimum_at(price);
      if (!minimum.found) return;
      Plan plan = plan_of(minimum.values);
      seen(plan);
      if (plan.priced(price) >= dear_.priced(price) * (1 - kRounding)) return;
      (plan.bytes > limit_ ? dear_ : small_) = std::move(plan);
    }
  }

  // The price leaves a choice between plans that nearly tie at it. Plans at prices nearby show
  // other such choices; runs of them in the best plan, and single moves, use up the bytes that are
  // left.
  void improve() {
    if (small_.found && dear_.found && dear_.bytes > limit_ && !closed()) {
      const double price = solution_.price_per_byte;
      for (double factor : kPricesNearby) {
        if (solution_.statistics.steps >= options_.step_budget) break;
        const Minimum minimum = minimum_at(factor * price);
        if (minimum.found) seen(plan_of(minimum.values));
      }
      for (int round = 0; round < kMaxRounds && exchange_runs(); ++round) {
      }
    }
    std::vector<uint32_t> values = best_.values;
    moves_.descend(values, limit_);
    offer(plan_of(std::move(values)));
  }

  bool closed() const { return solution_.bound >= best_.cost * (1 - 1e-9); }

  void seen(Plan plan) {
    offer(plan);
    plans_.push_back(std::move(plan));
  }

  // Whether a run of some plan made the best one cheaper.
  bool exchange_runs() {
    const double before = best_.cost;
    for (const Plan& plan : plans_) {
      offer(plan_of(moves_.best_run(plan.values, best_.values, limit_)));
      offer(plan_of(moves_.best_run(best_.values, plan.values, limit_)));
    }
    return best_.cost < before && !closed();
  }

  void close() {
    GapSearch search(network_, options_, solution_.price_per_byte, solution_.statistics);
    const double bound = search.run(best_.values, best_.cost);
    best_ = plan_of(best_.values);
    solution_.bound = std::max(solution_.bound, bound);
  }

  const CostNetwork& network_;
  const Options& options_;
  double limit_;
  Solution& solution_;
  LocalMoves moves_;
  Plan dear_;                // over the limit, least cost at some price
  Plan small_;               // within the limit
  Plan best_;                // cheapest within the limit
  std::vector<Plan> plans_;  // all minima at some price
};

}  // namespace

void solve_within_limit(const CostNetwork& network, const Options& options, Solution& solution) {
  PriceSearch(network, options, solution).run();
}

}  // namespace cleave::solver
