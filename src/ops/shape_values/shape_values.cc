// shape_values: the values of dimension expressions as a tensor.
#include "ops/operands.h"

namespace cleave::ops {
namespace {

class ShapeValues : public OpDefinition {
 public:
  std::string_view name() const override { return "shape_values"; }

  std::vector<AttributeField> fields() const override {
    return {{"values", AttributeField::Kind::kDims, true},
            {"to", AttributeField::Kind::kType, true},
            {"scalar", AttributeField::Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 0, 0);
    const auto count = static_cast<int64_t>(context.attributes.dims("values").size());
    TensorType out{context.attributes.dtype("to"), {}};
    if (out.dtype == DType::kBool) invalid("sizes are numbers: shape_values makes no booleans");
    if (context.attributes.integer("scalar", 0) == 0) {
      out.shape = {count};
    } else if (count != 1) {
      invalid("shape_values makes a scalar of one value, not of " + std::to_string(count));
    }
    return {out};
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const>,
                 std::span<HostTensor> outputs) const override {
    const std::vector<int64_t> values = attributes.integers("values");
    for (size_t i = 0; i < values.size(); ++i) {
      outputs[0].set_integer(static_cast<int64_t>(i), values[i]);
    }
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_shape_values() {
  return {std::make_shared<ShapeValues>()};
}

}  // namespace cleave::ops
