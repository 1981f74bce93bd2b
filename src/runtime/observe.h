// Shows an observer what each instruction of a run made.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/device.h"
#include "cleave/runtime.h"
#include "program/program.h"

namespace cleave::runtime {

// Shared by the ranks of one run: they meet behind each instruction, so that its results are there
// on all of them and none is overwritten yet.
class Observation {
 public:
  // `symbols` are the model's. All must live as long as this.
  Observation(const program::EngineData& data, const program::Program& program,
              const SymbolValues& symbols, const Observer& observer);

  // Called by each rank for each instruction in turn, when it has carried it out; `outputs` is the
  // memory of its results. Throws what the observer throws, on rank 0, and what waiting throws.
  void made(uint32_t instruction, std::span<void* const> outputs, backend::Device& device,
            Communicator& communicator);

 private:
  Tensor part_of(const program::Operand& output, const void* memory, backend::Device& device,
                 int rank) const;
  ObservedInstruction describe(uint32_t number);

  const program::EngineData& data_;
  const SymbolValues& symbols_;
  const Observer& observer_;
  std::vector<const program::Instruction*> instructions_;
  std::vector<std::vector<Tensor>> parts_;  // by rank: of the instruction that is looked at
};

}  // namespace cleave::runtime
