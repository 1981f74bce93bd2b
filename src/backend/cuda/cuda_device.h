// A GPU as a device: its memory, a stream, and what kernels on it share.
#pragma once

#include <cublasLt.h>

#include <memory>

#include "backend/cuda/modules.h"
#include "backend/device.h"

namespace cleave::backend {

// What all kernels of a GPU have in common beside the interface of every device.
class CudaDevice : public Device {
 public:
  virtual int index() const = 0;            // CUDA's
  virtual int multiprocessors() const = 0;  // to size grids by
  virtual Modules& modules() = 0;           // compiled device code
  virtual cublasLtHandle_t cublas() = 0;    // may be used by several threads at once
};

// Error(kDevice) where there is no such GPU or it is too old for what is built here.
std::unique_ptr<CudaDevice> make_cuda_device(const DeviceOptions& options,
                                             std::shared_ptr<Modules> modules);

// The oldest GPUs that kernels are written for: Ampere.
inline constexpr int kLeastComputeCapability = 80;

}  // namespace cleave::backend
