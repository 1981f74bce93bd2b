#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_pad_capabilities_cuda() { return {{"pad", std::make_shared<ImageView>()}}; }

}  // namespace cleave::capabilities
