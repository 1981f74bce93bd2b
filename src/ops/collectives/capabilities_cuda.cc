#include "ops/collectives/capabilities_memory.h"

namespace cleave::capabilities {

OpCapabilitiesList make_collectives_capabilities_cuda() { return collectives_of_memory(); }

}  // namespace cleave::capabilities
