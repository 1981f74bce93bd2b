#include "planner/planner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>

#include "ops/builder.h"
#include "planner/network.h"

namespace cleave::planner {
namespace {

using layout::Placement;

std::string rounded(double us) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, us < 10 ? "%.1f" : "%.0f", us);
  return buffer;
}

// Everything that planning a graph needs, built once.
class Planner {
 public:
  Planner(const ir::Graph& graph, const ops::Registry& registry,
          const capabilities::Capabilities& capabilities, const cost::MachineModel& machine,
          const Options& options)
      : graph_(graph),
        options_(options),
        fusion_(capabilities::fuse(graph, registry, capabilities)),
        sizes_(graph, options.points, options.opt, options.ranks),
        reshards_(graph, sizes_, machine),
        rules_(rules_of(graph, registry)),
        cuts_(graph, rules_),
        group_costs_(graph, registry, machine, sizes_, fusion_, capabilities,
                     std::max(options.ranks, options.devices)),
        builder_(graph, machine, sizes_, reshards_, rules_, cuts_, group_costs_) {
    for (const capabilities::FusionGroup& group : fusion_.groups) {
      candidates_.push_back(builder_.build(group));
    }
    for (const Pin& pin : options.pins) apply(pin);
    if (options.random_costs) draw_costs(*options.random_costs);
  }

  Plan solve() {
    const Network network(graph_, fusion_, candidates_, sizes_, reshards_);
    const solver::Solution solution = solver::solve(network.costs(), solver_options());
    check(solution, network);
    Plan plan;
    plan.ranks = options_.ranks;
    plan.group_of_node = fusion_.group_of_node;
    plan.nodes.resize(graph_.node_count());
    plan.own.resize(graph_.value_count());
    plan.copies.resize(graph_.value_count());
    const std::vector<CopySet> copies = network.copies(solution.values);
    for (size_t v = 0; v < copies.size(); ++v) plan.copies[v] = copies[v].copies;
    for (size_t g = 0; g < fusion_.groups.size(); ++g) {
      const size_t chosen = solution.values[network.variable_of_group(g).index()];
      take(plan, g, chosen, copies);
    }
    plan.cost_us = solution.value;
    plan.bound_us = solution.bound;
    plan.optimal = solution.optimal;
    plan.gap = solution.gap;
    plan.price_per_byte = solution.price_per_byte;
    plan.constant_bytes = solution.bytes;
    return plan;
  }

  // The total cost with a strategy of one group forced: candidates of one name differ in how their
  // results lie, and the cheapest counts.
  double cost_with(size_t group, const std::string& strategy) {
    std::vector<Candidate> all = candidates_[group];
    std::erase_if(candidates_[group],
                  [&](const Candidate& candidate) { return candidate.name != strategy; });
    const Network network(graph_, fusion_, candidates_, sizes_, reshards_);
    const solver::Solution solution = solver::solve(network.costs(), solver_options());
    candidates_[group] = std::move(all);
    return solution.value;
  }

  size_t group_of(const std::string& node) const {
    const auto id = graph_.find_node(node);
    if (id) return fusion_.group_of_node[id->index()];
    // A tensor's name serves as well.
    const auto value = graph_.find_value(node);
    if (value && graph_.value(*value).producer.valid()) {
      return fusion_.group_of_node[graph_.value(*value).producer.index()];
    }
    // A node that does what several of the model's did has all their names, with + between.
    for (const ir::NodeId one : graph_.order()) {
      const std::string joined = "+" + graph_.node(one).name + "+";
      if (joined.find("+" + node + "+") != std::string::npos) {
        return fusion_.group_of_node[one.index()];
      }
    }
    throw Error(ErrorCode::kUsage, "no node is named '" + node + "'",
                "`cleave plan MODEL --json -` lists the names");
  }
  // The names of its candidates, each once, in their order.
  std::vector<std::string> strategies(size_t group) const {
    std::vector<std::string> names;
    for (const Candidate& candidate : candidates_[group]) {
      if (std::find(names.begin(), names.end(), candidate.name) == names.end()) {
        names.push_back(candidate.name);
      }
    }
    return names;
  }

 private:
  static std::vector<layout::ShardingRule> rules_of(const ir::Graph& graph,
                                                    const ops::Registry& registry) {
    std::vector<layout::ShardingRule> rules(graph.node_count());
    for (ir::NodeId id : graph.order()) {
      const ir::Node& node = graph.node(id);
      rules[id.index()] = registry.at(node.op).rule(ops::NodeContext(graph, node));
    }
    return rules;
  }

  solver::Options solver_options() const {
    solver::Options options;
    options.step_budget = options_.step_budget;
    options.bytes_limit = options_.constant_bytes_limit;
    return options;
  }

  // Large against what reshards of small tensors cost, so that the draw decides.
  void draw_costs(uint64_t seed) {
    std::mt19937_64 random(seed);
    for (std::vector<Candidate>& group : candidates_) {
      for (Candidate& candidate : group) {
        candidate.time_us = static_cast<double>(random() % 100'000);
      }
    }
  }

  void apply(const Pin& pin) {
    std::vector<Candidate>& all = candidates_[group_of(pin.node)];
    std::vector<Candidate> kept;
    std::string known;
    for (const Candidate& candidate : all) {
      if (candidate.name == pin.strategy) kept.push_back(candidate);
      if (known.find("'" + candidate.name + "'") == std::string::npos) {
        known += (known.empty() ? "'" : ", '") + candidate.name + "'";
      }
    }
    if (kept.empty()) {
      throw Error(ErrorCode::kUsage,
                  "node '" + pin.node + "' has no strategy '" + pin.strategy + "'",
                  "it has " + known);
    }
    all = std::move(kept);
  }

  void check(const solver::Solution& solution, const Network&) const {
    if (solution.feasible) return;
    if (solution.status == solver::Status::kOverBytesLimit) {
      throw NoRoom{static_cast<int64_t>(std::ceil(solution.bytes))};
    }
    throw Error(ErrorCode::kUsage, "no plan agrees with what is pinned",
                "pin fewer nodes, or give strategies that fit each other");
  }

  void take(Plan& plan, size_t g, size_t chosen, const std::vector<CopySet>& copies) {
    const capabilities::FusionGroup& group = fusion_.groups[g];
    const Candidate& candidate = candidates_[g][chosen];
    for (size_t m = 0; m < group.nodes.size(); ++m) {
      plan.nodes[group.nodes[m].index()] = candidate.members[m];
      const ir::Node& node = graph_.node(group.nodes[m]);
      for (size_t o = 0; o < node.outputs.size(); ++o) {
        plan.own[node.outputs[o].index()] = candidate.members[m].placements.outputs[o];
      }
    }
    for (const auto& [value, copy] : candidate.inner) plan.copies[value.index()].push_back(copy);
    GroupPlan report;
    const ir::Node& root = graph_.node(group.root());
    report.name = root.name;
    report.op = graph_.node(group.anchor.valid() ? group.anchor : group.root()).op;
    report.nodes = group.nodes;
    report.strategy = candidate.name;
    report.time_us = candidate.time_us;
    report.unsplit_us = builder_.unsplit_us(group);
    report.communication_us = candidate.communication_us;
    for (ir::ValueId output : root.outputs) report.communication_us += copies[output.index()].us;
    for (size_t c = 0; c < candidates_[g].size(); ++c) {
      const Candidate& other = candidates_[g][c];
      report.alternatives.push_back(
          {other.name, other.time_us, other.communication_us, bytes(other), c == chosen});
    }
    report.bytes = bytes(candidate);
    report.reason = reason(g, report);
    plan.unsplit_us += report.unsplit_us;
    plan.groups.push_back(std::move(report));
  }

  double bytes(const Candidate& candidate) const {
    double sum = 0;
    for (const Need& need : candidate.needs) {
      if (graph_.value(need.value).is_constant()) {
        sum += sizes_.largest_bytes(need.value, need.placement);
      }
    }
    return sum;
  }

  std::string reason(size_t g, const GroupPlan& report) const {
    if (candidates_[g].size() == 1) {
      return report.strategy == "whole" ? "cannot be split" : "pinned";
    }
    double best = report.unsplit_us;
    for (const Alternative& other : report.alternatives) best = std::min(best, other.time_us);
    if (report.strategy == "whole") {
      return "a split saves at most " + rounded(report.unsplit_us - best) +
             " us, less than its communication";
    }
    return "takes " + rounded(report.time_us) + " us instead of " + rounded(report.unsplit_us);
  }

  const ir::Graph& graph_;
  const Options& options_;
  capabilities::Fusion fusion_;
  Sizes sizes_;
  ReshardCosts reshards_;
  std::vector<layout::ShardingRule> rules_;
  CutCandidates cuts_;
  GroupCosts group_costs_;
  CandidateBuilder builder_;
  std::vector<std::vector<Candidate>> candidates_;
};

}  // namespace

Plan plan(const ir::Graph& graph, const ops::Registry& registry,
          const capabilities::Capabilities& capabilities, const cost::MachineModel& machine,
          const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  Plan result = Planner(graph, registry, capabilities, machine, options).solve();
  result.planning_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::vector<std::pair<std::string, double>> explain(const ir::Graph& graph,
                                                    const ops::Registry& registry,
                                                    const capabilities::Capabilities& capabilities,
                                                    const cost::MachineModel& machine,
                                                    const Options& options,
                                                    const std::string& node) {
  Planner planner(graph, registry, capabilities, machine, options);
  const size_t group = planner.group_of(node);
  std::vector<std::pair<std::string, double>> result;
  for (const std::string& strategy : planner.strategies(group)) {
    result.emplace_back(strategy, planner.cost_with(group, strategy));
  }
  return result;
}

}  // namespace cleave::planner
