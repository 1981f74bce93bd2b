// Pieces of generated device code.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "types/dtype.h"
#include "types/fused.h"

namespace cleave::backend {

// The type as device code names it: "float", "Half", "int64_t".
std::string device_type(DType type);

// Why a chain on operands of these types has no device code.
std::optional<std::string> refuse_chain(const FusedProgram& program, std::span<const DType> inputs);

// `template <..> void chain(const Working<..>& x0, .., Working<..>& y0, ..)`: a device function
// that carries out the chain on one element. float16 and bfloat16 are computed in float and rounded
// where they are stored or cast to. `rank` is what rank_zero compares with 0.
std::string chain_source(const FusedProgram& program, std::span<const DType> inputs, int64_t rank);

}  // namespace cleave::backend
