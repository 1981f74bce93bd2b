// The CPU as a device: a virtual one, with a share of the cores and its own memory account.
#pragma once

#include <memory>

#include "backend/device.h"

namespace cleave::backend {

// It has at least one thread.
std::unique_ptr<Device> make_cpu_device(const DeviceOptions& options);

}  // namespace cleave::backend
