#include "passes/recover_softmax.h"

#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// The reduction by `op` of one axis that `value` spreads over that axis again, and the axis.
struct Reduced {
  ValueId operand;
  size_t axis;
};

std::optional<Reduced> reduced(const Rewriter& r, ValueId value, std::string_view op) {
  const Shape& whole = r.shape(value);
  const ir::Node* broadcast = r.made_by(value, "broadcast");
  const ir::Node* reshape = broadcast ? r.made_by(broadcast->inputs[0], "reshape") : nullptr;
  const ir::Node* reduce = reshape ? r.made_by(reshape->inputs[0], op) : nullptr;
  if (reduce == nullptr || reduce->attributes.dims("axes").size() != 1) return {};
  const auto axis = static_cast<size_t>(reduce->attributes.dims("axes")[0].constant());
  Shape kept = whole;
  if (axis >= kept.size()) return {};
  kept[axis] = 1;
  if (r.shape(reduce->inputs[0]) != whole || r.shape(reshape->outputs[0]) != kept) return {};
  return Reduced{reduce->inputs[0], axis};
}

bool recover(Rewriter& r, ir::NodeId id) {
  const ir::Node& div = r.graph().node(id);
  if (div.op != "div") return false;
  const ValueId root = div.outputs[0];
  const ir::Node* exp = r.made_by(div.inputs[0], "exp");
  const ir::Node* sub = exp ? r.made_by(exp->inputs[0], "sub") : nullptr;
  if (sub == nullptr) return false;
  const auto sum = reduced(r, div.inputs[1], "reduce_sum");
  const auto largest = reduced(r, sub->inputs[1], "reduce_max");
  if (!sum || !largest || sum->operand != div.inputs[0] || largest->operand != sub->inputs[0] ||
      sum->axis != largest->axis) {
    return false;
  }
  const ValueId leaves[] = {sub->inputs[0]};
  if (!r.is_closed(root, leaves)) return false;
  const Dim axis = static_cast<int64_t>(sum->axis);
  return r.replace(root, r.add_for(root, "softmax", {{"axis", axis}}, {leaves[0]}));
}

}  // namespace

bool recover_softmax(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, recover);
}

}  // namespace cleave::passes
