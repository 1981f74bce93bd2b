#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

OpCapabilitiesList make_concat_capabilities_cpu() {
  return {{"concat", std::make_shared<ImageFormats>()}};
}

}  // namespace cleave::capabilities
