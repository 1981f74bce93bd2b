// The time of an op on a rank, from its definition's work and the machine model.
#pragma once

#include <span>

#include "cost/machine_model.h"
#include "ops/definition.h"

namespace cleave::cost {

// What an op does, in numbers. `flops` of element-wise ops count arithmetic_weight an element.
struct OpCost {
  std::string kind;  // the op's name, with the kind of its work behind a dot
  // As machine models name it, where its kernel works in `format`: with any but row-major behind
  // another dot.
  std::string name(Format format) const;
  double flops = 0;
  double bytes = 0;
  bool has_product = false;
  Product product;
  bool tf32 = false;  // see KernelWork::tf32
  int64_t width = 0;  // see KernelWork::width
};

// `context` and `outputs` hold numeric types (what one rank has).
OpCost op_cost(const ops::OpDefinition& definition, const ops::OpContext& context,
               std::span<const TensorType> outputs);

// What one element of an element-wise op costs, against a function such as exp or tanh: additions
// and the like nearly vanish beside them.
double arithmetic_weight(std::string_view op);

}  // namespace cleave::cost
