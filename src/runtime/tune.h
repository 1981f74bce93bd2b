// Tuning: times the kernels of a program where there is a choice.
#pragma once

#include "backend/device.h"
#include "backend/kernel.h"
#include "backend/timing_table.h"
#include "cleave/log.h"
#include "program/program.h"

namespace cleave::runtime {

// For each problem of any rank at these sizes that several kernels take, and whose fastest kernel
// `timings` does not name yet, adds the times of all of them on `device`: medians of several calls
// that take turns, on operands of its own and constants packed as at load. A kernel that memory
// does not suffice for is left out. Error(kInvalid) where the engine is inconsistent.
void tune_program(const program::EngineData& data, const program::Program& program,
                  const SymbolValues& symbols, const backend::KernelRegistry& kernels,
                  backend::Device& device, backend::TimingTable& timings, const LogSink& log);

}  // namespace cleave::runtime
