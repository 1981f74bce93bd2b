// Random graphs whose results are exact: small integers, sums that stay below 2^24 in float32, 2^11
// in float16 and 2^8 in bfloat16, so that split and unsplit must be equal bit for bit.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/registry.h"

namespace cleave::testing {

struct RandomModel {
  ir::Graph graph;
  std::vector<HostTensor> inputs;
  SymbolValues symbols;  // of the dynamic dimensions, as the inputs have them
};

// Of float32; `type`: what an engine of it may compute in.
RandomModel random_model(const ops::Registry& registry, uint64_t seed,
                         DType type = DType::kFloat32);

}  // namespace cleave::testing
