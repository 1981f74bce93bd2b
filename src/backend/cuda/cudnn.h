// cuDNN: its handle for a device, failed calls as errors, and its objects owned.
#pragma once

#include <cudnn.h>

#include <memory>
#include <string>

#include "backend/cuda/cuda_device.h"
#include "cleave/error.h"

namespace cleave::backend {

inline void cudnn_check(cudnnStatus_t status, const char* during) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw Error(status == CUDNN_STATUS_ALLOC_FAILED ? ErrorCode::kOutOfMemory : ErrorCode::kDevice,
              std::string("cuDNN: ") + cudnnGetErrorString(status) + " (" + during + ")",
              "see `cleave doctor` for the versions of CUDA's libraries");
}

// Used by the thread that runs the rank.
inline cudnnHandle_t cudnn_of(CudaDevice& device) {
  return static_cast<cudnnHandle_t>(device.library("cudnn", [&] {
    device.make_current();
    cudnnHandle_t handle = nullptr;
    cudnn_check(cudnnCreate(&handle), "making a handle");
    return std::shared_ptr<void>(
        handle, [](void* made) { cudnnDestroy(static_cast<cudnnHandle_t>(made)); });
  }));
}

// A descriptor: made when this is, gone with it.
template <class Handle, cudnnStatus_t (*kCreate)(Handle*), cudnnStatus_t (*kDestroy)(Handle)>
class CudnnOwned {
 public:
  CudnnOwned() { cudnn_check(kCreate(&value_), "making a descriptor"); }
  CudnnOwned(const CudnnOwned&) = delete;
  CudnnOwned& operator=(const CudnnOwned&) = delete;
  ~CudnnOwned() { kDestroy(value_); }
  Handle get() const { return value_; }

 private:
  Handle value_ = nullptr;
};
using CudnnTensor =
    CudnnOwned<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;

}  // namespace cleave::backend
