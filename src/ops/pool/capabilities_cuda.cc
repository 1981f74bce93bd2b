#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_pool_capabilities_cuda() {
  const auto any = std::make_shared<ImageFormats>();
  return {{"max_pool", any}, {"average_pool", any}, {"lp_pool", any}};
}

}  // namespace cleave::capabilities
