#include "cost/op_cost.h"

namespace cleave::cost {

OpCost op_cost(const ops::OpDefinition& definition, const ops::OpContext& context,
               std::span<const TensorType> outputs) {
  const ops::Work work = definition.work(context, outputs);
  OpCost cost;
  cost.flops = static_cast<double>(work.flops.constant());
  cost.bytes = static_cast<double>(work.bytes.constant());
  if (work.product) {
    cost.has_product = true;
    cost.product = {work.product->batch.constant(), work.product->m.constant(),
                    work.product->n.constant(), work.product->k.constant()};
  }
  return cost;
}

}  // namespace cleave::cost
