// iota: a tensor of indices.
#include "ops/iota/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

class Iota : public OpDefinition {
 public:
  std::string_view name() const override { return "iota"; }

  std::vector<AttributeField> fields() const override {
    return {{"shape", AttributeField::Kind::kDims, true},
            {"axis", AttributeField::Kind::kDim, true},
            {"to", AttributeField::Kind::kType, true},
            {"offset", AttributeField::Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 0, 0);
    const TensorType out{context.attributes.dtype("to"), context.attributes.dims("shape")};
    axis_of(context.attributes, "axis", out.rank());
    if (out.dtype != DType::kInt64 && out.dtype != DType::kFloat32) {
      invalid("iota makes i64 or f32, not " + std::string(name_of(out.dtype)), "cast its result");
    }
    return {out};
  }

  layout::ShardingRule rule(const OpContext& context) const override {
    const Shape& shape = context.attributes.dims("shape");
    layout::ShardingRule rule = elementwise_rule(context, shape);
    rule.factors[axis_of(context.attributes, "axis", shape.size())].contiguous = true;
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes attributes = context.whole.attributes;
    attributes.set("shape", context.local_outputs[0].shape);
    const layout::Placement& out = context.placements.outputs[0];
    if (!out.is_shard() || out.dim != attributes.integer("axis")) return attributes;
    const std::vector<layout::Piece> pieces = out.cut.pieces(context.rank, context.ranks);
    CLEAVE_CHECK(pieces.size() == 1, "the axis of iota is split in one piece a rank");
    attributes.set("offset", attributes.dim("offset", 0) + pieces[0].begin);
    return attributes;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const>,
                 std::span<HostTensor> outputs) const override {
    reference_iota(static_cast<size_t>(attributes.integer("axis")), attributes.integer("offset", 0),
                   outputs[0]);
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_iota() { return {std::make_shared<Iota>()}; }

}  // namespace cleave::ops
