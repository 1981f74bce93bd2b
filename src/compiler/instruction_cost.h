// The predicted times of a program's instructions, from the same costs that the planner reads.
#pragma once

#include <vector>

#include "capabilities/capabilities.h"
#include "cost/machine_model.h"
#include "ops/registry.h"
#include "program/program.h"

namespace cleave::compiler {

class InstructionCosts {
 public:
  // At the opt sizes of `symbols`. `ranks` run the program while `devices` ≥ ranks are at work.
  InstructionCosts(const cost::MachineModel& machine, const ops::Registry& registry,
                   const capabilities::Capabilities& capabilities,
                   const std::vector<program::Symbol>& symbols, int64_t ranks, int64_t devices);

  // Of the slowest rank, or of the work of all where they share the cores.
  double us(const program::Instruction& instruction) const;

 private:
  double rank_us(const program::Instruction& instruction, const SymbolValues& values) const;
  // Of the op without its chain, whose operands are behind the op's own `operands`.
  double op_us(const program::Instruction& instruction, size_t operands,
               const SymbolValues& values) const;
  double collective_us(const program::Instruction& instruction) const;

  const cost::MachineModel& machine_;
  const ops::Registry& registry_;
  const capabilities::Capabilities& capabilities_;
  std::vector<SymbolValues> values_;  // by rank
  int64_t devices_;
};

}  // namespace cleave::compiler
