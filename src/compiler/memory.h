// What devices' memory must hold at once to run an engine.
#pragma once

#include <cstdint>
#include <vector>

#include "capabilities/capabilities.h"
#include "program/program.h"

namespace cleave::compiler {

// By rank, in bytes: weights as kernels keep them, activations, workspace, and the outputs of the
// ranks that deliver none. An upper bound that no run exceeds: what was computed without a device
// holds on each.
std::vector<int64_t> device_memory(const program::EngineData& data,
                                   const capabilities::Capabilities& capabilities);

}  // namespace cleave::compiler
