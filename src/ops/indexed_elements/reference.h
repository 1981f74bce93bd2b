// The plain gather_elements and scatter_elements.
#pragma once

#include "ops/definition.h"

namespace cleave::ops {

void reference_gather_elements(const Attributes& attributes, const HostTensor& data,
                               const HostTensor& indices, HostTensor& out);
void reference_scatter_elements(const Attributes& attributes, const HostTensor& data,
                                const HostTensor& indices, const HostTensor& updates,
                                HostTensor& out);

}  // namespace cleave::ops
