// The profiler that times the real kernels and the real communicator of devices.
#pragma once

#include <memory>
#include <span>

#include "backend/backend.h"
#include "cost/profiler.h"

namespace cleave::compiler {

// Of the backend's `devices`, by index; CPU devices have their share of the cores, as in a runtime.
// Error(kDevice) where one is not there.
std::unique_ptr<cost::Profiler> make_device_profiler(
    std::shared_ptr<const backend::Backend> backend, std::span<const int> devices);

}  // namespace cleave::compiler
