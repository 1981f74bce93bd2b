// The device code for one element of a chain, in whichever loop.
#pragma once

#include <string>
#include <vector>

#include "types/fused.h"

namespace cleave::backend {

// "    Vector<Half, 2> y0;\n" for each output, and a loop over `count` elements e that carries out
// the chain on `inputs`, an expression each, and puts the results into y0.at[e], ...
std::string chain_loop(const FusedProgram& program, const std::vector<DType>& input_types,
                       const std::vector<DType>& output_types,
                       const std::vector<std::string>& inputs, int64_t count);

}  // namespace cleave::backend
