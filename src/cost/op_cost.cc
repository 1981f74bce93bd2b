#include "cost/op_cost.h"

#include <algorithm>

namespace cleave::cost {

std::string OpCost::name(Format format) const {
  return format == Format::kRowMajor ? kind : kind + "." + std::string(name_of(format));
}

OpCost op_cost(const ops::OpDefinition& definition, const ops::OpContext& context,
               std::span<const TensorType> outputs) {
  const ops::Work work = definition.work(context, outputs);
  OpCost cost;
  cost.kind = definition.name();
  if (!work.kind.empty()) cost.kind += "." + std::string(work.kind);
  cost.flops = static_cast<double>(work.flops.constant());
  cost.bytes = static_cast<double>(work.bytes.constant());
  if (definition.is_elementwise()) cost.flops *= arithmetic_weight(definition.name());
  if (work.product) {
    cost.has_product = true;
    cost.product = {work.product->batch.constant(), work.product->m.constant(),
                    work.product->n.constant(), work.product->k.constant()};
    cost.tf32 = context.attributes.integer("tf32", 0) != 0;
  }
  cost.width = work.width.constant();
  return cost;
}

double arithmetic_weight(std::string_view op) {
  static constexpr std::string_view kSimple[] = {
      "add",  "sub",  "mul",   "max",       "min",          "neg",       "abs",
      "relu", "cast", "where", "rank_zero", "hard_sigmoid", "hard_swish"};
  return std::find(std::begin(kSimple), std::end(kSimple), op) != std::end(kSimple) ? 0.1 : 1;
}

}  // namespace cleave::cost
