// The CPU as a device: a virtual one, with a share of the cores and its own memory account.
#pragma once

#include <memory>

#include "backend/device.h"

namespace cleave::backend {

struct CpuDeviceOptions {
  int index = 0;             // of "cpu:index"
  int devices = 1;           // that share the machine
  int threads = 0;           // 0: max(1, cores / devices)
  int64_t memory_limit = 0;  // bytes; 0: none
};

std::unique_ptr<Device> make_cpu_device(const CpuDeviceOptions& options);

}  // namespace cleave::backend
