#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_reshape_capabilities_cpu() {
  return {{"copy", std::make_shared<AnyStrides>()}};
}

}  // namespace cleave::capabilities
