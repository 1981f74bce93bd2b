// Failed calls of CUDA as errors.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

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

}  // namespace cleave
