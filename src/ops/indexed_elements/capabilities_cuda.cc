#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Scatter final : public OpCapabilities {
 public:
  // Of each element its sum in float32, or its last update.
  Dim workspace_bytes(const Attributes&, std::span<const Operand> inputs) const override {
    return inputs.empty() ? Dim(0) : inputs[0].type.elements() * 4;
  }
};

}  // namespace

OpCapabilitiesList make_indexed_elements_capabilities_cuda() {
  return {{"scatter_elements", std::make_shared<Scatter>()}};
}

}  // namespace cleave::capabilities
