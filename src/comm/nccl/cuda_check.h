// Failed calls of CUDA as errors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "cleave/error.h"

namespace cleave {

// "CUDA: an illegal memory access was encountered (in a copy to the host)"
inline void cuda_check(cudaError_t status, const char* during) {
  if (status == cudaSuccess) return;
  const bool memory = status == cudaErrorMemoryAllocation;
  throw Error(memory ? ErrorCode::kOutOfMemory : ErrorCode::kDevice,
              std::string("CUDA: ") + cudaGetErrorString(status) + " (" + during + ")",
              memory ? "close other programs, use more devices or a smaller profile"
                     : "see `cleave doctor`; the device may have to be used by a new process");
}

// `what` cannot have so many bytes of the current device: "activations needs 1.50 GiB on cuda:1,
// where 1.00 GiB of 80.0 GiB are free".
inline Error out_of_device_memory(std::string_view what, int64_t bytes) {
  int device = 0;
  size_t free = 0;
  size_t total = 0;
  cudaGetDevice(&device);
  cudaMemGetInfo(&free, &total);
  return Error(ErrorCode::kOutOfMemory,
               std::string(what) + " needs " + text_of_bytes(bytes) + " on cuda:" +
                   std::to_string(device) + ", where " + text_of_bytes(static_cast<int64_t>(free)) +
                   " of " + text_of_bytes(static_cast<int64_t>(total)) + " are free",
               "close other programs, use more devices or a smaller profile");
}

}  // namespace cleave
