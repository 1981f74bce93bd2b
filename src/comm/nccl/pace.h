// Keeps a rank's thread from running far ahead of its device.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace cleave::nccl {

// A stream takes some thousand pieces of work; then the thread that puts more on it stands still
// inside of CUDA, where it would not notice that its group has failed. So every so many calls it
// waits here instead, until the device has come to the calls before. Used by the rank's thread.
class Pace {
 public:
  Pace() = default;
  ~Pace();
  Pace(const Pace&) = delete;
  Pace& operator=(const Pace&) = delete;

  // After every call that put work on the stream, unless it is recorded. `stop` as in poll_stream.
  void keep(cudaStream_t stream, const std::function<bool()>& stop);

 private:
  int calls_ = 0;
  cudaEvent_t mark_ = nullptr;  // behind the calls before the last ones
  bool marked_ = false;
};

}  // namespace cleave::nccl
