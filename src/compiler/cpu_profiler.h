// The profiler that times the real kernels and the real communicator of CPU devices.
#pragma once

#include <memory>

#include "backend/kernel.h"
#include "cost/profiler.h"

namespace cleave::compiler {

// `devices` devices with their share of the cores, as a runtime has them; kernels from `kernels`.
std::unique_ptr<cost::Profiler> make_cpu_profiler(int devices, backend::KernelRegistry kernels);

}  // namespace cleave::compiler
