// Random graphs whose results are exact: small integers in float32, sums that stay below 2^24, so
// that split and unsplit must be equal bit for bit.
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

RandomModel random_model(const ops::Registry& registry, uint64_t seed);

}  // namespace cleave::testing
