#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_reduce_capabilities_cuda() {
  const auto any = std::make_shared<AnyStrides>();
  return {{"reduce_sum", any}, {"reduce_max", any}, {"reduce_min", any}, {"reduce_prod", any}};
}

}  // namespace cleave::capabilities
