// From the inputs of a run to the values of the model's dimensions.
#pragma once

#include "cleave/tensor.h"
#include "program/program.h"

namespace cleave::runtime {

// The program that takes inputs of these shapes, and the value of each of its symbols.
struct BoundShapes {
  size_t program = 0;
  SymbolValues symbols;
};

// Checks names, types and shapes. Error(kInvalid) that names the input, what is expected, what was
// given and what to do; where no profile fits, the first one's reason is given.
BoundShapes bind_shapes(const program::EngineData& data, const TensorMap& inputs);

}  // namespace cleave::runtime
