// top_k: the k largest or smallest elements along an axis, in order, and where they are.
#include <numeric>

#include "ops/movement.h"
#include "ops/operands.h"
#include "types/top_order.h"

namespace cleave::ops {
namespace {

using layout::Factor;

class TopK final : public OpDefinition {
 public:
  std::string_view name() const override { return "top_k"; }

  std::vector<AttributeField> fields() const override {
    return {{"axis", AttributeField::Kind::kDim},
            {"k", AttributeField::Kind::kDim},
            {"largest", AttributeField::Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    TensorType values = context.inputs[0];
    const size_t axis = axis_of(context.attributes, "axis", values.rank());
    const Dim& k = context.attributes.dim("k");
    require_not_negative(k, "the k of top_k");
    if ((values.shape[axis] - k).bounds({}).high < 0) {
      invalid("top_k takes " + k.text() + " of " + values.shape[axis].text() + " elements");
    }
    values.shape[axis] = k;
    return {values, {DType::kInt64, values.shape}};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    const size_t axis = axis_of(context.attributes, "axis", shape.size());
    layout::ShardingRule rule = elementwise_rule(context, shape);
    rule.factors[axis].kind = Factor::Kind::kReplicate;
    rule.outputs[0][axis].clear();
    rule.outputs.push_back(rule.outputs[0]);
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    const HostTensor& x = *inputs[0];
    const AxisView view(x.shape, static_cast<size_t>(attributes.integer("axis")));
    const int64_t k = attributes.integer("k");
    const bool largest = attributes.integer("largest", 1) != 0;
    if (k > view.extent) {
      invalid("top_k takes " + std::to_string(k) + " of " + std::to_string(view.extent) +
              " elements");
    }
    std::vector<int64_t> order(static_cast<size_t>(view.extent));
    dispatch_dtype(x.dtype, [&]<class T>() {
      for (int64_t line = 0; line < view.outer * view.inner; ++line) {
        const int64_t outer = line / view.inner;
        const int64_t inner = line % view.inner;
        const T* from = x.data<T>().data() + view.index(outer, 0, inner);
        std::iota(order.begin(), order.end(), 0);
        std::sort(order.begin(), order.end(), TopOrder<T>{from, view.inner, largest});
        for (int64_t e = 0; e < k; ++e) {
          const int64_t to = (outer * k + e) * view.inner + inner;
          const int64_t at = order[static_cast<size_t>(e)];
          outputs[0].data<T>()[static_cast<size_t>(to)] = from[at * view.inner];
          outputs[1].set_integer(to, at);
        }
      }
    });
  }

  // A comparison for each element and level of a heap of k.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = context.inputs[0].elements() * 4;
    return work;
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_top_k() { return {std::make_shared<TopK>()}; }

}  // namespace cleave::ops
