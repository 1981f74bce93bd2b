#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

// All that moves elements reads any view, but reshape, which keeps the order of memory.
OpCapabilitiesList make_reshape_capabilities_cuda() {
  const auto any = std::make_shared<AnyStrides>();
  return {{"copy", any},    {"broadcast", any}, {"transpose", any}, {"slice", any},
          {"reverse", any}, {"concat", any},    {"split", any}};
}

}  // namespace cleave::capabilities
