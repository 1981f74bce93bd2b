// reduce_sum, reduce_max, reduce_min, reduce_prod: some dimensions combined and dropped.
#include <algorithm>

#include "ops/operands.h"
#include "ops/reduce/reference.h"

namespace cleave::ops {
namespace {

using layout::Factor;
using layout::OperandFactors;
using layout::ShardingRule;

class Reduce : public OpDefinition {
 public:
  explicit Reduce(ReduceOp op) : op_(op), name_("reduce_" + std::string(name_of(op))) {}

  std::string_view name() const override { return name_; }

  std::vector<AttributeField> fields() const override {
    return {{"axes", AttributeField::Kind::kDims, true}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& in = context.inputs[0];
    if (in.dtype == DType::kBool && (op_ == ReduceOp::kSum || op_ == ReduceOp::kProd)) {
      invalid(name_ + " has no meaning for booleans", "cast them to a number first");
    }
    const std::vector<bool> reduced = reduced_dims(context);
    TensorType out{in.dtype, {}};
    for (size_t d = 0; d < in.rank(); ++d) {
      if (!reduced[d]) out.shape.push_back(in.shape[d]);
    }
    return {out};
  }

  ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    const std::vector<bool> reduced = reduced_dims(context);
    ShardingRule rule;
    OperandFactors in, out;
    for (size_t d = 0; d < shape.size(); ++d) {
      const uint32_t factor =
          rule.add_factor((reduced[d] ? "r" : "d") + std::to_string(d), shape[d],
                          reduced[d] ? Factor::Kind::kReduction : Factor::Kind::kParallel, op_);
      in.push_back(along(factor));
      if (!reduced[d]) out.push_back(along(factor));
    }
    rule.inputs = {in};
    rule.outputs = {out};
    rule.linear = {{op_, {0}}};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_reduce(op_, attributes.integers("axes"), *inputs[0], outputs[0]);
  }

  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = context.inputs[0].elements();
    // Rows of the dimensions behind the reduced ones are added up as a whole.
    const std::vector<bool> reduced = reduced_dims(context);
    work.width = 1;
    for (size_t d = reduced.size(); d-- > 0 && !reduced[d];) {
      work.width *= context.inputs[0].shape[d];
    }
    return work;
  }

 private:
  std::vector<bool> reduced_dims(const OpContext& context) const {
    std::vector<bool> reduced(context.inputs[0].rank(), false);
    for (int64_t axis : context.attributes.integers("axes")) {
      if (axis < 0 || axis >= static_cast<int64_t>(reduced.size())) {
        invalid(name_ + " has no axis " + std::to_string(axis) + " in " + context.inputs[0].text());
      }
      if (reduced[static_cast<size_t>(axis)]) {
        invalid(name_ + " names axis " + std::to_string(axis) + " twice");
      }
      reduced[static_cast<size_t>(axis)] = true;
    }
    return reduced;
  }

  ReduceOp op_;
  std::string name_;
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_reduce() {
  std::vector<std::shared_ptr<const OpDefinition>> ops;
  for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin, ReduceOp::kProd}) {
    ops.push_back(std::make_shared<Reduce>(op));
  }
  return ops;
}

}  // namespace cleave::ops
