#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class RowNorm final : public OpCapabilities {
 public:
  // Two numbers of 8 bytes a row that does not fit in registers: 2^31 elements have at most 2^17.
  Dim workspace_bytes(const Attributes&, std::span<const Operand>) const override {
    return int64_t{2} << 20;
  }
};

}  // namespace

OpCapabilitiesList make_layer_norm_capabilities_cuda() {
  const auto rows = std::make_shared<RowNorm>();
  return {{"layer_norm", rows}, {"rms_norm", rows}, {"group_norm", rows}};
}

}  // namespace cleave::capabilities
