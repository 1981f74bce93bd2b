#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Chain final : public AnyStrides {
 public:
  bool writes(DType, Format) const override { return true; }
};

}  // namespace

OpCapabilitiesList make_elementwise_capabilities_cpu() {
  return {{"fused_elementwise", std::make_shared<Chain>()}};
}

}  // namespace cleave::capabilities
