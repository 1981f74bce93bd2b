#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_resize_capabilities_cuda() {
  return {{"resize", std::make_shared<ImageView>()}};
}

}  // namespace cleave::capabilities
