// Instructions with all sizes known, on one rank: what kernels are chosen by.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/kernel.h"
#include "program/program.h"

namespace cleave::runtime {

// Bytes of a tensor, from its start.
struct ByteRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t bytes() const { return end - begin; }
};

// Where an operand's first element lies.
struct Address {
  program::Space space = program::Space::kNone;
  uint32_t index = 0;  // of the input, output or weight
  int64_t bytes = 0;   // from the start
};

// An operand with all sizes known.
struct Located {
  backend::TensorView view = backend::TensorView::absent();
  Address address;
  uint64_t key = 0;  // of a weight's view
};

struct LocatedInstruction {
  Attributes attributes;  // evaluated
  std::vector<Located> inputs;
  std::vector<Located> outputs;

  bool has_work() const;  // some result has elements
  // Refers to this object. Weights have their keys, and no data.
  backend::KernelProblem problem(std::string_view op, int threads) const;
};

class Locator {
 public:
  // `symbols` are the model's. Data and program must outlive the locator.
  Locator(const program::EngineData& data, const program::Program& program,
          const SymbolValues& symbols, int64_t rank);

  // Every operand is checked against its memory. Error(kInvalid) where the engine is inconsistent
  // for these sizes.
  LocatedInstruction locate(const program::Instruction& instruction) const;

 private:
  Located locate(const program::Operand& operand) const;
  int64_t space_bytes(const program::Operand& operand) const;

  const program::EngineData& data_;
  const program::Program& program_;
  SymbolValues values_;
  int64_t rank_;
  std::vector<int64_t> output_bytes_;
};

// How errors and logs name an instruction: "instruction 3 (matmul fc)".
std::string place_of(const program::Instruction& instruction, uint32_t number);

// Calls `visit` with all that kernels have to do at these sizes, rank by rank in the program's
// order. Errors name the instruction.
using VisitWork = std::function<void(const program::Instruction& instruction, uint32_t number,
                                     LocatedInstruction located)>;
void for_each_work(const program::EngineData& data, const program::Program& program,
                   const SymbolValues& symbols, const VisitWork& visit);

// For an engine that contradicts itself.
[[noreturn]] void invalid_engine(const std::string& what);

}  // namespace cleave::runtime
