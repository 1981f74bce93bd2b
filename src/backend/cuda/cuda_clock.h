// The clock of a GPU's stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "backend/cuda/modules.h"
#include "backend/device.h"

namespace cleave::backend {

// What a stream is held by: a kernel that waits for a word of the host's memory. Lives as long as
// its device. Used by one thread.
class StreamHold {
 public:
  explicit StreamHold(Modules& modules);
  ~StreamHold();
  StreamHold(const StreamHold&) = delete;
  StreamHold& operator=(const StreamHold&) = delete;

  void hold(cudaStream_t stream);
  void release();

 private:
  cudaKernel_t kernel_;
  uint32_t* word_ = nullptr;  // how many holds have been released; devices see it, too
  uint32_t held_ = 0;
};

// The device code of both.
void compile_clock(Modules& modules);

// Of a stream of the current device; `hold` must live longer.
std::unique_ptr<StreamClock> make_cuda_clock(cudaStream_t stream, Modules& modules,
                                             StreamHold& hold);

}  // namespace cleave::backend
