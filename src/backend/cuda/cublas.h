// cuBLASLt: its handle for a device, and failed calls as errors.
#pragma once

#include <cublasLt.h>

#include <memory>
#include <string>

#include "backend/cuda/cuda_device.h"
#include "cleave/error.h"

namespace cleave::backend {

inline void cublas_check(cublasStatus_t status, const char* during) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorCode::kOutOfMemory : ErrorCode::kDevice,
              std::string("cuBLASLt: ") + cublasLtGetStatusString(status) + " (" + during + ")",
              "see `cleave doctor` for the versions of CUDA's libraries");
}

// May be used by several threads at once.
inline cublasLtHandle_t cublas_of(CudaDevice& device) {
  return static_cast<cublasLtHandle_t>(device.library("cublas", [&] {
    device.make_current();
    cublasLtHandle_t handle = nullptr;
    cublas_check(cublasLtCreate(&handle), "making a handle");
    return std::shared_ptr<void>(
        handle, [](void* made) { cublasLtDestroy(static_cast<cublasLtHandle_t>(made)); });
  }));
}

}  // namespace cleave::backend
