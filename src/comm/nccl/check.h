// Failed calls of NCCL as errors, and what the calling thread's device is.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <string>

#include "cleave/error.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::nccl {

inline void nccl_check(ncclResult_t status, const char* during) {
  if (status == ncclSuccess) return;
  throw Error(ErrorCode::kDevice,
              std::string("NCCL: ") + ncclGetErrorString(status) + " (" + during + ")",
              "set NCCL_DEBUG=WARN to see the cause; `cleave doctor` lists the links between GPUs");
}

// Makes a device the calling thread's while it lives.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    cuda_check(cudaGetDevice(&before_), "asking for the current device");
    cuda_check(cudaSetDevice(device), "choosing the device");
  }
  ~DeviceGuard() { cudaSetDevice(before_); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
};

// While it lives the calling thread may allocate and wait although it records a stream's work.
class RecordingPause {
 public:
  RecordingPause() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~RecordingPause() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  RecordingPause(const RecordingPause&) = delete;
  RecordingPause& operator=(const RecordingPause&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// Whether what is put on the stream is recorded.
inline bool is_recording(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(stream, &status) == cudaSuccess &&
         status != cudaStreamCaptureStatusNone;
}

}  // namespace cleave::nccl
