#include "planner/solver/pareto_elimination.h"

#include <algorithm>

namespace cleave::solver {

namespace {

constexpr uint32_t kNone = ~uint32_t{0};
// What one elimination may remember for all tables together, in choices (16 bytes each).
constexpr size_t kMaxNodes = size_t{1} << 25;

}  // namespace

void ParetoElimination::add_variable(std::span<const double> cost, std::span<const double> bytes) {
  std::vector<Choice> choices;
  for (size_t v = 0; v < cost.size(); ++v) choices.push_back({cost[v], bytes[v], kNone});
  unary_.push_back(std::move(choices));
  factors_of_.emplace_back();
}

void ParetoElimination::add_pairwise(uint32_t a, uint32_t b, std::span<const double> cost,
                                     std::span<const double> bytes) {
  Factor factor{{a, b}, {}, {}};
  for (size_t entry = 0; entry < cost.size(); ++entry) {
    factor.start.push_back(factor.choices.size());
    if (cost[entry] <= limits_.max_cost && bytes[entry] <= limits_.max_bytes) {
      factor.choices.push_back({cost[entry], bytes[entry], kNone});
    }
  }
  factor.start.push_back(factor.choices.size());
  const uint32_t index = static_cast<uint32_t>(factors_.size());
  factors_of_[a].push_back(index);
  factors_of_[b].push_back(index);
  factors_.push_back(std::move(factor));
}

ParetoElimination::Result ParetoElimination::run(const std::vector<uint32_t>& order,
                                                 uint64_t& operations) {
  done_ = {{0, 0, kNone}};
  Result result;
  for (uint32_t variable : order) {
    if (!eliminate(variable, operations)) return result;
  }
  result.complete = true;
  result.exact = exact_;
  const auto net_cost = [&](const Choice& choice) {
    return choice.cost - limits_.price * choice.bytes;
  };
  const auto best =
      std::min_element(done_.begin(), done_.end(),
                       [&](const Choice& a, const Choice& b) { return net_cost(a) < net_cost(b); });
  if (best == done_.end()) return result;
  result.values.resize(unary_.size(), 0);
  collect(best->node, result.values);
  return result;
}

bool ParetoElimination::eliminate(uint32_t variable, uint64_t& operations) {
  const std::vector<uint32_t> used = factors_of_[variable];
  std::optional<Factor> combined = combine(variable, used, operations);
  if (!combined) return false;
  for (uint32_t index : used) {
    for (uint32_t other : factors_[index].scope) std::erase(factors_of_[other], index);
    factors_[index] = {};
  }
  if (combined->scope.empty()) {
    std::vector<Choice> sums;
    add_sums(done_, combined->choices, sums, operations);
    keep_undominated(sums);
    done_ = std::move(sums);
    return operations < limits_.max_operations;
  }
  const uint32_t index = static_cast<uint32_t>(factors_.size());
  for (uint32_t other : combined->scope) factors_of_[other].push_back(index);
  factors_.push_back(std::move(*combined));
  return true;
}

std::optional<ParetoElimination::Factor> ParetoElimination::combine(
    uint32_t variable, const std::vector<uint32_t>& used, uint64_t& operations) {
  Factor result;
  for (uint32_t index : used) {
    for (uint32_t other : factors_[index].scope) {
      if (other != variable) result.scope.push_back(other);
    }
  }
  std::sort(result.scope.begin(), result.scope.end());
  result.scope.erase(std::unique(result.scope.begin(), result.scope.end()), result.scope.end());
  size_t entries = 1;
  for (uint32_t other : result.scope) {
    entries *= unary_[other].size();
    if (entries > limits_.max_entries) return std::nullopt;
  }

  std::vector<uint32_t> values(unary_.size(), 0);
  std::vector<Choice> here, front, sums;
  for (size_t entry = 0; entry < entries; ++entry) {
    size_t rest = entry;
    for (size_t i = result.scope.size(); i-- > 0;) {
      values[result.scope[i]] = static_cast<uint32_t>(rest % unary_[result.scope[i]].size());
      rest /= unary_[result.scope[i]].size();
    }
    here.clear();
    for (uint32_t value = 0; value < unary_[variable].size(); ++value) {
      values[variable] = value;
      front = {unary_[variable][value]};
      for (uint32_t index : used) {
        const Factor& factor = factors_[index];
        size_t at = 0;
        for (uint32_t other : factor.scope) at = at * unary_[other].size() + values[other];
        sums.clear();
        add_sums(front,
                 std::span(factor.choices)
                     .subspan(factor.start[at], factor.start[at + 1] - factor.start[at]),
                 sums, operations);
        keep_undominated(sums);
        front.swap(sums);
        if (front.empty()) break;
      }
      remember(front, variable, value);
      here.insert(here.end(), front.begin(), front.end());
    }
    keep_undominated(here);
    result.start.push_back(result.choices.size());
    result.choices.insert(result.choices.end(), here.begin(), here.end());
    if (result.choices.size() > limits_.max_entries || nodes_.size() > kMaxNodes ||
        operations >= limits_.max_operations) {
      return std::nullopt;
    }
  }
  result.start.push_back(result.choices.size());
  return result;
}

void ParetoElimination::add_sums(const std::vector<Choice>& left, std::span<const Choice> right,
                                 std::vector<Choice>& sums, uint64_t& operations) {
  operations += 1 + left.size() * right.size() * 8;  // nodes and sorting included
  if (operations >= limits_.max_operations) return;  // the caller gives up
  for (const Choice& a : left) {
    for (const Choice& b : right) {
      const double cost = a.cost + b.cost;
      const double bytes = a.bytes + b.bytes;
      if (cost > limits_.max_cost || bytes > limits_.max_bytes) continue;
      uint32_t node = a.node == kNone ? b.node : a.node;
      if (a.node != kNone && b.node != kNone) {
        node = static_cast<uint32_t>(nodes_.size());
        nodes_.push_back({a.node, b.node, kNone, 0});
      }
      sums.push_back({cost, bytes, node});
    }
  }
}

void ParetoElimination::keep_undominated(std::vector<Choice>& choices) {
  if (choices.size() < 2) return;
  const auto net_cost = [&](const Choice& choice) {
    return choice.cost - limits_.price * choice.bytes;
  };
  std::sort(choices.begin(), choices.end(), [&](const Choice& a, const Choice& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : net_cost(a) < net_cost(b);
  });
  size_t kept = 1;
  for (size_t i = 1; i < choices.size(); ++i) {
    if (net_cost(choices[i]) < net_cost(choices[kept - 1]) - limits_.equal_cost) {
      choices[kept++] = choices[i];
    }
  }
  choices.resize(kept);
  if (kept > limits_.max_choices) thin_out(choices);
}

// Keeps the cheapest at the price, and of the others every n-th.
void ParetoElimination::thin_out(std::vector<Choice>& choices) {
  exact_ = false;
  const auto cheapest =
      std::min_element(choices.begin(), choices.end(),
                       [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
  const size_t best = static_cast<size_t>(cheapest - choices.begin());
  const size_t steps = limits_.max_choices - 1;
  size_t kept = 0;
  size_t step = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    const bool on_step = step < steps && i == step * (choices.size() - 1) / (steps - 1);
    if (on_step) ++step;
    if (on_step || i == best) choices[kept++] = choices[i];
  }
  choices.resize(kept);
}

void ParetoElimination::remember(std::vector<Choice>& choices, uint32_t variable, uint32_t value) {
  for (Choice& choice : choices) {
    nodes_.push_back({choice.node, kNone, variable, value});
    choice.node = static_cast<uint32_t>(nodes_.size() - 1);
  }
}

void ParetoElimination::collect(uint32_t node, std::vector<uint32_t>& values) const {
  std::vector<uint32_t> open{node};
  while (!open.empty()) {
    const uint32_t at = open.back();
    open.pop_back();
    if (at == kNone) continue;
    if (nodes_[at].variable != kNone) values[nodes_[at].variable] = nodes_[at].value;
    open.push_back(nodes_[at].left);
    open.push_back(nodes_[at].right);
  }
}

}  // namespace cleave::solver
