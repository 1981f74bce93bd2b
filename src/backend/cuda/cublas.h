// Failed calls of cuBLASLt as errors.
#pragma once

#include <cublasLt.h>

#include <string>

#include "cleave/error.h"

namespace cleave::backend {

inline void cublas_check(cublasStatus_t status, const char* during) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorCode::kOutOfMemory : ErrorCode::kDevice,
              std::string("cuBLASLt: ") + cublasLtGetStatusString(status) + " (" + during + ")",
              "see `cleave doctor` for the versions of CUDA's libraries");
}

}  // namespace cleave::backend
