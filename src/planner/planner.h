// The planner: the provably cheapest way to split every operation over the ranks.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capabilities/capabilities.h"
#include "cost/machine_model.h"
#include "ops/registry.h"
#include "planner/plan.h"

namespace cleave::planner {

struct Pin {
  std::string node;      // name of a node
  std::string strategy;  // as the plan's table shows it
};

struct Options {
  int64_t ranks = 1;
  // Devices that are at work at once, as costs depend on it: more than `ranks` where these are some
  // of them. 0: the ranks.
  int64_t devices = 0;
  // Sizes of the dynamic dimensions at which costs are taken; `points[opt]` is the one planned for.
  std::vector<SymbolValues> points = {{}};
  size_t opt = 0;
  // The most bytes of constants that a rank may hold.
  std::optional<double> constant_bytes_limit;
  std::vector<Pin> pins;
  uint64_t step_budget = 20'000'000'000;
  // For tests: costs of strategies are drawn from this seed, so that any legal plan may come out.
  std::optional<uint64_t> random_costs;
};

// No plan keeps `constant_bytes_limit`: `bytes` is the least that the largest rank needs.
struct NoRoom {
  int64_t bytes = 0;
};

// Error(kUsage) for a pin that names no node or no strategy of it; throws NoRoom where no plan
// keeps the limit.
Plan plan(const ir::Graph& graph, const ops::Registry& registry,
          const capabilities::Capabilities& capabilities, const cost::MachineModel& machine,
          const Options& options);

// What each strategy of the group of `node` would cost if it were chosen and all else planned
// anew: one (strategy, total cost) each, no strategy twice.
std::vector<std::pair<std::string, double>> explain(const ir::Graph& graph,
                                                    const ops::Registry& registry,
                                                    const capabilities::Capabilities& capabilities,
                                                    const cost::MachineModel& machine,
                                                    const Options& options,
                                                    const std::string& node);

}  // namespace cleave::planner
