// Tuning: times the kernels of a program, and their algorithms, where there is a choice.
#pragma once

#include "backend/device.h"
#include "backend/kernel.h"
#include "backend/timing_table.h"
#include "cleave/log.h"
#include "program/program.h"

namespace cleave::runtime {

// The times of all kernels that take the problem, and of all their algorithms, as below; empty
// where none does, or memory does not suffice.
backend::KernelTimes time_problem(const backend::KernelProblem& problem,
                                  const backend::KernelRegistry& kernels, backend::Device& device,
                                  const LogSink& log);

// For each problem of any rank at these sizes that several kernels take, or one by several
// algorithms, and whose fastest `timings` does not name yet or names as what is not there, adds the
// times of all of them on `device`: medians of several calls that take turns, on operands of its
// own and constants packed as at load. What memory does not suffice for is left out.
// Error(kInvalid) where the engine is inconsistent.
void tune_program(const program::EngineData& data, const program::Program& program,
                  const SymbolValues& symbols, const backend::KernelRegistry& kernels,
                  backend::Device& device, backend::TimingTable& timings, const LogSink& log);

}  // namespace cleave::runtime
