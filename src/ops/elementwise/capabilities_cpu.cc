#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_elementwise_capabilities_cpu() {
  return {{"fused_elementwise", std::make_shared<AnyView>()}};
}

}  // namespace cleave::capabilities
