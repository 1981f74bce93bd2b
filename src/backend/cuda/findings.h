// What of CUDA is on this machine.
#pragma once

#include <vector>

#include "backend/backend.h"

namespace cleave::backend {

// Versions of the driver and the libraries, the GPUs, and which of them reach each other.
std::vector<Finding> cuda_findings();

}  // namespace cleave::backend
