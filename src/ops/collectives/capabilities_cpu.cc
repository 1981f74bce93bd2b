#include "ops/collectives/capabilities_memory.h"

namespace cleave::capabilities {

OpCapabilitiesList make_collectives_capabilities_cpu() { return collectives_of_memory(); }

}  // namespace cleave::capabilities
