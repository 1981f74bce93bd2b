// The time of an op on a rank, from its definition's work and the machine model.
#pragma once

#include <span>

#include "cost/machine_model.h"
#include "ops/definition.h"

namespace cleave::cost {

// `inputs` and `outputs` are numeric types (what one rank holds). `fused_bytes` are those of
// operands that stay in registers because a neighbour in the same kernel makes or takes them.
struct OpCost {
  double flops = 0;
  double bytes = 0;
  bool has_product = false;
  Product product;
};
OpCost op_cost(const ops::OpDefinition& definition, const ops::OpContext& context,
               std::span<const TensorType> outputs);

}  // namespace cleave::cost
