// What every backend's collectives can do.
#pragma once

#include <memory>

#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {

// They see memory, whatever dimensions lie in it.
inline OpCapabilitiesList collectives_of_memory() {
  const auto any = std::make_shared<AnyFormat>();
  return {{"all_reduce", any},
          {"all_gather", any},
          {"reduce_scatter", any},
          {"all_to_all", any},
          {"shard", any}};
}

}  // namespace cleave::capabilities
