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
    if (how_ == Pooling::kMaxIndex) {
      fields.push_back({"column_major", Kind::kDim, false});
      fields.push_back({"image", Kind::kDims, false});
      fields.push_back({"begin", Kind::kDims, false});
    }
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
    const Window window = Window::of(context.attributes);
    const size_t dimensions = x.rank() - kImage;
    check_window(window, dimensions, name_);
    TensorType y{how_ == Pooling::kMaxIndex ? DType::kInt64 : x.dtype, {x.shape[0], x.shape[1]}};
    y.shape.insert(y.shape.end(), window.outputs.begin(), window.outputs.end());
    if (how_ == Pooling::kLp && context.attributes.integer("p") < 1) {
      invalid("lp_pool takes p >= 1, not " + context.attributes.dim("p").text());
    }
    if (how_ == Pooling::kAverage) check_lists(context, {"counted_low", "counted_high"});
    if (how_ == Pooling::kMaxIndex && context.attributes.has("image")) {
      check_lists(context, {"image", "begin"});
    }
    return {y};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.inputs[0].shape;
    layout::ShardingRule rule;
    layout::OperandFactors operand(kImage);
    operand[0] = along(rule.add_factor("n", shape[0]));
    operand[1] = along(rule.add_factor("c", shape[1]));
    rule.inputs = {operand};
    rule.outputs = {operand};
    add_window_factors(rule, shape, Window::of(context.attributes));
    // An index counts from the begin of the one piece that a rank holds.
    for (size_t f = kImage; how_ == Pooling::kMaxIndex && f < rule.factors.size(); ++f) {
      rule.factors[f].contiguous = true;
    }
    if (how_ == Pooling::kMax) rule.linear = {{ReduceOp::kMax, {0}}};
    if (how_ == Pooling::kAverage) rule.linear = {{ReduceOp::kSum, {0}}};
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = context.whole.attributes;
    const auto share = window_share(context, Window::of(local));
    if (!share) return local;
    share->set(local);
    const Shape& shape = context.whole.inputs[0].shape;
    if (how_ == Pooling::kMaxIndex) {
      std::vector<Dim> image(shape.begin() + kImage, shape.end());
      std::vector<Dim> begin(image.size(), Dim(0));
      begin[share->d] = share->begin;
      local.set("image", image);
      local.set("begin", begin);
    }
    // The elements before and behind a rank's own count as the image's.
    if (how_ == Pooling::kAverage && share->has_a_halo) {
      const auto add = [&](const char* name, const Dim& elements) {
        std::vector<Dim> counted = local.dims(name);
        counted[share->d] += elements;
        local.set(name, counted);
      };
      add("counted_low", share->begin);
      add("counted_high", shape[kImage + share->d] - share->begin - share->extent);
    }
    return local;
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
  void check_lists(const OpContext& context, std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (context.attributes.dims(name).size() == context.inputs[0].rank() - kImage) continue;
      invalid(std::string(name_) + " needs " + name + " for each dimension of the image");
    }
  }

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
