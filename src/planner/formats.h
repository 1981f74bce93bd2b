// The format of every tensor: a second, small cost network, solved before the split.
#pragma once

#include "capabilities/capabilities.h"
#include "cost/machine_model.h"
#include "ir/graph.h"
#include "ops/registry.h"
#include "planner/planner.h"

namespace cleave::planner {

// Sets the format of the graph's values: one variable a fusion group, the format of its result;
// unary costs, the time of its kernel; pairwise costs, the copies where a reader does not take a
// tensor as it lies. Times are those of the whole graph at options.points[options.opt]: a format
// belongs to a tensor, however it is split. Inputs, outputs and constants are row-major.
void choose_formats(ir::Graph& graph, const ops::Registry& registry,
                    const capabilities::Capabilities& capabilities,
                    const cost::MachineModel& machine, const Options& options);

}  // namespace cleave::planner
