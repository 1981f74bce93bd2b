#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

// All that moves elements reads any view, but reshape, which keeps the order of memory. What joins
// or turns images makes them in any format.
OpCapabilitiesList make_reshape_capabilities_cuda() {
  const auto reads = std::make_shared<AnyStrides>();
  const auto both = std::make_shared<ImageView>();
  return {{"copy", reads},   {"broadcast", reads}, {"transpose", reads}, {"slice", reads},
          {"reverse", both}, {"concat", both},     {"split", reads}};
}

}  // namespace cleave::capabilities
