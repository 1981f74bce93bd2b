// The plan as JSON and as a table, and back: a plan file's strategies become pins.
#pragma once

#include <filesystem>
#include <string>

#include "compiler/compile.h"

namespace cleave::compiler {

// The time that planning took differs from run to run: engines, whose bytes must not, leave it out.
enum class PlanningTime { kShown, kLeftOut };
std::string plan_json(const Compilation& compilation, PlanningTime time);
std::string plan_table(const Compilation& compilation);

// Error(kInvalid) for a file that is no plan, or one for another model or number of devices.
void add_pins(const std::filesystem::path& plan, const ir::Graph& graph, planner::Options& options);

}  // namespace cleave::compiler
