// max_pool, max_pool_index, average_pool, lp_pool: what a window over an image sees, as one value.
#include <algorithm>

#include "ops/operands.h"
#include "ops/pool/reference.h"
#include "ops/window.h"

namespace cleave::ops {
namespace {

class Pool final : public OpDefinition {
 public:
  Pool(std::string_view name, Pooling how) : name_(name), how_(how) {}

  std::string_view name() const override { return name_; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    std::vector<AttributeField> fields = window_fields();
    fields.push_back({"kernel", Kind::kDims});
    if (how_ == Pooling::kMaxIndex) fields.push_back({"column_major", Kind::kDim, false});
    if (how_ == Pooling::kAverage) fields.push_back({"counted_low", Kind::kDims});
    if (how_ == Pooling::kAverage) fields.push_back({"counted_high", Kind::kDims});
    if (how_ == Pooling::kLp) fields.push_back({"p", Kind::kDim});
    return fields;
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    const TensorType& x = context.inputs[0];
    if (how_ == Pooling::kAverage || how_ == Pooling::kLp) {
      require_floating(x, "the operand of " + std::string(name_));
    } else if (x.dtype == DType::kBool) {
      invalid(std::string(name_) + " has no meaning for booleans");
    }
    if (x.rank() < 3) invalid(std::string(name_) + " takes [n, c, image...], not " + x.text());
    const std::span<const Dim> image = std::span(x.shape).subspan(2);
    TensorType y{how_ == Pooling::kMaxIndex ? DType::kInt64 : x.dtype, {x.shape[0], x.shape[1]}};
    for (Dim& extent : window_extents(context, image, Window::of(context.attributes))) {
      y.shape.push_back(std::move(extent));
    }
    if (how_ == Pooling::kLp && context.attributes.integer("p") < 1) {
      invalid("lp_pool takes p >= 1, not " + context.attributes.dim("p").text());
    }
    if (how_ == Pooling::kAverage &&
        (context.attributes.dims("counted_low").size() != image.size() ||
         context.attributes.dims("counted_high").size() != image.size())) {
      invalid("average_pool needs counted_low and counted_high for each dimension of the image");
    }
    return {y};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    layout::ShardingRule rule;
    layout::OperandFactors operand(shape.size());
    operand[0] = along(rule.add_factor("n", shape[0]));
    operand[1] = along(rule.add_factor("c", shape[1]));
    rule.inputs = {operand};
    rule.outputs = {operand};
    if (how_ == Pooling::kMax) rule.linear = {{ReduceOp::kMax, {0}}};
    if (how_ == Pooling::kAverage) rule.linear = {{ReduceOp::kSum, {0}}};
    return rule;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_pool(how_, attributes, *inputs[0], outputs[0]);
  }

  // An operation a tap.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    Work work = OpDefinition::work(context, outputs);
    work.flops = outputs[0].elements() * product(context.attributes.dims("kernel"));
    return work;
  }

 private:
  std::string_view name_;
  Pooling how_;
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_pool() {
  return {std::make_shared<Pool>("max_pool", Pooling::kMax),
          std::make_shared<Pool>("max_pool_index", Pooling::kMaxIndex),
          std::make_shared<Pool>("average_pool", Pooling::kAverage),
          std::make_shared<Pool>("lp_pool", Pooling::kLp)};
}

}  // namespace cleave::ops
