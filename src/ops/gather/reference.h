// The plain gather.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

void reference_gather(const Attributes& attributes, const HostTensor& data,
                      const HostTensor& indices, HostTensor& out);

}  // namespace cleave::ops
