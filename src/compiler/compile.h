// The compiler: every stage from a graph to a program, in order.
#pragma once

#include "capabilities/capabilities.h"
#include "cleave/builder.h"
#include "compiler/network_impl.h"
#include "cost/machine_model.h"
#include "lower/lower.h"
#include "partition/partition.h"
#include "planner/planner.h"

namespace cleave::compiler {

// What compiling gives, stage by stage.
struct Compilation {
  ir::Graph graph;                       // after all passes
  std::vector<program::Symbol> symbols;  // the optimization profile
  planner::Plan plan;
  ir::Graph local;                                    // what a rank executes
  std::vector<partition::Origin> origins;             // of its values
  lower::Lowered lowered;                             // its program
  program::EngineData data;                           // all but weights' places
  std::vector<std::vector<uint64_t>> weight_content;  // by weight and rank
};

// What callers inside the library change of a build.
struct Overrides {
  std::optional<uint64_t> random_costs;  // for tests: see planner::Options
  int64_t devices_at_work = 0;           // see planner::Options::devices
};

// Error(kOutOfMemory) where no plan keeps config.memory_limit, naming the amount needed.
Compilation compile(const NetworkImpl& network, const BuilderConfig& config,
                    const Overrides& overrides = {});
Engine build(const std::shared_ptr<const NetworkImpl>& network, const BuilderConfig& config,
             const Overrides& overrides = {});

// What planning needs, for `explain`.
struct PlanningInput {
  ir::Graph graph;
  std::shared_ptr<const capabilities::Capabilities> capabilities;  // of the devices' backend
  std::vector<program::Symbol> symbols;
  cost::MachineModel machine;
  planner::Options options;
};
PlanningInput prepare(const NetworkImpl& network, const BuilderConfig& config,
                      const Overrides& overrides = {});

}  // namespace cleave::compiler
