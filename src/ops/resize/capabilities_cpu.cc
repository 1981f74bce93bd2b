#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_resize_capabilities_cpu() {
  return {{"resize", std::make_shared<ImageFormats>()}};
}

}  // namespace cleave::capabilities
