// The plain gather_nd and scatter_nd.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

void reference_gather_nd(const Attributes& attributes, const HostTensor& data,
                         const HostTensor& indices, HostTensor& out);
void reference_scatter_nd(const Attributes& attributes, const HostTensor& data,
                          const HostTensor& indices, const HostTensor& updates, HostTensor& out);

}  // namespace cleave::ops
