// A GPU as a device: its memory, a stream, and what kernels on it share.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "backend/cuda/modules.h"
#include "backend/device.h"

namespace cleave::backend {

// What all kernels of a GPU have in common beside the interface of every device.
class CudaDevice : public Device {
 public:
  // Else kernels are prepared for it no further than their device code is compiled.
  virtual bool is_there() const { return true; }
  virtual int index() const = 0;            // CUDA's
  virtual int multiprocessors() const = 0;  // to size grids by
  virtual Modules& modules() = 0;           // compiled device code
  // What a library keeps for this device, by the library's name: made when it is first asked for,
  // and gone before the device is, and before what was made earlier.
  virtual void* library(std::string_view name,
                        const std::function<std::shared_ptr<void>()>& make) = 0;
};

// Error(kDevice) where there is no such GPU or it is too old for what is built here.
std::unique_ptr<CudaDevice> make_cuda_device(const DeviceOptions& options,
                                             std::shared_ptr<Modules> modules);

// The oldest GPUs that kernels are written for: Ampere.
inline constexpr int kLeastComputeCapability = 80;

}  // namespace cleave::backend
