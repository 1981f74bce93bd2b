#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Scatter final : public OpCapabilities {
 public:
  // The last update of each row, and the row of each update: no more of them than data has
  // elements, and than there are indices or updates.
  Dim workspace_bytes(const Attributes&, std::span<const Operand> inputs) const override {
    if (inputs.size() < 3) return 0;
    const TensorType& data = inputs[0].type;
    const Shape& indices = inputs[1].type.shape;
    const Dim tuples = product(std::span(indices).first(indices.size() - 1));
    if (!indices.back().is_constant()) return (data.elements() + tuples) * 4;
    const auto depth = static_cast<size_t>(indices.back().constant());
    return (product(std::span(data.shape).first(std::min(depth, data.rank()))) + tuples) * 4;
  }
};

}  // namespace

OpCapabilitiesList make_indexed_rows_capabilities_cuda() {
  return {{"scatter_nd", std::make_shared<Scatter>()}};
}

}  // namespace cleave::capabilities
