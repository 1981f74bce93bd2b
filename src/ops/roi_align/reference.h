#pragma once

#include "types/attributes.h"
#include "types/host_tensor.h"

namespace cleave::ops {

void reference_roi_align(const Attributes& attributes, const HostTensor& x, const HostTensor& rois,
                         const HostTensor& images, HostTensor& y);

}  // namespace cleave::ops
