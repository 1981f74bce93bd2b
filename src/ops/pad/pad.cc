#include <algorithm>

#include "ops/movement.h"
#include "ops/operands.h"
#include "types/pad_mode.h"

namespace cleave::ops {
namespace {

// Surrounds the operand with a constant or with its own elements.
class Pad final : public OpDefinition {
 public:
  std::string_view name() const override { return "pad"; }
  std::vector<AttributeField> fields() const override {
    return {{"low", AttributeField::Kind::kDims},
            {"high", AttributeField::Kind::kDims},
            {"value", AttributeField::Kind::kReal, false},
            {"mode", AttributeField::Kind::kString, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 1, 1);
    TensorType type = context.inputs[0];
    const std::vector<Dim>& low = context.attributes.dims("low");
    const std::vector<Dim>& high = context.attributes.dims("high");
    if (low.size() != type.rank() || high.size() != type.rank()) {
      invalid("pad needs low and high for each of " + std::to_string(type.rank()) + " dimensions");
    }
    const bool repeats = pad_mode(context.attributes) != PadMode::kConstant;
    for (size_t d = 0; d < type.rank(); ++d) {
      if (repeats && type.shape[d].is(0) && is_padded(context.attributes, d)) {
        invalid("dimension " + std::to_string(d) + " of " + type.text() +
                " has no elements to pad with");
      }
      require_not_negative(low[d], "the padding before dimension " + std::to_string(d));
      require_not_negative(high[d], "the padding behind dimension " + std::to_string(d));
      type.shape[d] += low[d] + high[d];
    }
    return {type};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const TensorType& x = context.inputs[0];
    layout::ShardingRule rule = elementwise_rule(context, x.shape);
    for (size_t d = 0; d < x.rank(); ++d) {
      if (!is_padded(context.attributes, d)) continue;
      if (pad_mode(context.attributes) == PadMode::kConstant) {
        // Element u of the result is element u − low of the operand, where there is one.
        const Dim& low = context.attributes.dims("low")[d];
        rule.factors[d].size = x.shape[d] + low + context.attributes.dims("high")[d];
        rule.inputs[0][d][0].window = layout::WindowUse{.extent = x.shape[d], .before = low};
      } else {
        rule.inputs[0][d].clear();
        rule.outputs[0][d].clear();
        rule.factors[d].kind = layout::Factor::Kind::kReplicate;
      }
    }
    if (pad_mode(context.attributes) != PadMode::kConstant) {
      add_movement_sets(rule, {0});
      return rule;
    }
    // The padding is reduced too, and must stay what it is.
    const double value = context.attributes.real("value", 0);
    if (value == 0) rule.linear.push_back({ReduceOp::kSum, {0}});
    rule.linear.push_back({ReduceOp::kMax, {0}});
    rule.linear.push_back({ReduceOp::kMin, {0}});
    if (value == 0 || value == 1) rule.linear.push_back({ReduceOp::kProd, {0}});
    return rule;
  }

  // A rank pads what is beside the operand's own elements.
  Attributes localize(const LocalizeContext& context) const override {
    Attributes local = context.whole.attributes;
    const layout::Placement& operand = context.placements.inputs[0];
    if (!operand.is_shard() || !operand.cut.windowed()) return local;
    const auto d = static_cast<size_t>(operand.dim);
    std::vector<Dim> low = local.dims("low");
    std::vector<Dim> high = local.dims("high");
    const layout::Piece own = context.strategy.cut.pieces(context.rank, context.ranks)[0];
    low[d] = min(max(low[d] - own.begin, 0), own.extent);
    high[d] = own.extent - low[d] - context.local_inputs[0].shape[d];
    local.set("low", low);
    local.set("high", high);
    return local;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    HostTensor& out = outputs[0];
    if (pad_mode(attributes) != PadMode::kConstant) {
      repeat(attributes, *inputs[0], out);
      return;
    }
    for (int64_t i = 0; i < out.elements(); ++i) out.set(i, attributes.real("value", 0));
    const std::vector<int64_t> origin(out.shape.size(), 0);
    copy_box(*inputs[0], origin, out, attributes.integers("low"), inputs[0]->shape);
  }

  Work work(const OpContext&, std::span<const TensorType> outputs) const override {
    return movement_work(outputs);
  }

 private:
  static void repeat(const Attributes& attributes, const HostTensor& x, HostTensor& y) {
    const std::vector<int64_t> low = attributes.integers("low");
    const PadMode mode = pad_mode(attributes);
    const size_t size = size_of(y.dtype);
    for (int64_t i = 0; i < y.elements(); ++i) {
      int64_t source = 0;
      int64_t stride = 1;
      int64_t rest = i;
      for (size_t d = y.shape.size(); d-- > 0;) {
        const int64_t position = rest % y.shape[d] - low[d];
        if (x.shape[d] == 0) invalid("a dimension has no elements to pad with");
        source += padded_source(mode, position, x.shape[d]) * stride;
        stride *= x.shape[d];
        rest /= y.shape[d];
      }
      std::copy_n(x.bytes.begin() + source * static_cast<ptrdiff_t>(size), size,
                  y.bytes.begin() + i * static_cast<ptrdiff_t>(size));
    }
  }

  static bool is_padded(const Attributes& attributes, size_t d) {
    return !attributes.dims("low")[d].is(0) || !attributes.dims("high")[d].is(0);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_pad() { return {std::make_shared<Pad>()}; }

}  // namespace cleave::ops
