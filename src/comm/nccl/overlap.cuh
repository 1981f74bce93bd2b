// Kernels that a GPU starts while the stream's last one still runs (programmatic dependent launch),
// which takes most of the gap between two kernels away.
//
// Such a kernel begins with `await_stream`, before it touches memory: from there on it is as if it
// had been started in the usual way. Those before and behind it need not know of any of this.
#pragma once

#include <utility>

#include "comm/nccl/check.h"
#include "comm/nccl/kernels.h"

namespace cleave::nccl {

// Waits until what is on the stream before this kernel has ended and can be seen. By all threads.
//
// The kernel behind this one may be brought onto the device from now on. It cannot take the place
// of a block of this one: all of them run when the last has come here.
__device__ inline void await_stream() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Has a value worked out before `await_stream` and not when it is first used, which would be later:
// what is known without the stream's memory, parameters above all, is then at hand.
template <class T>
__device__ void work_out(T& value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  if constexpr (sizeof(T) == 8) {
    asm volatile("" : "+l"(value));
  } else {
    asm volatile("" : "+r"(value));
  }
}

struct Grid {
  unsigned blocks;
  int threads;
};

// Puts a kernel that begins with `await_stream` on the stream.
template <class... Parameters, class... Arguments>
void start_kernel(void (*kernel)(Parameters...), const Grid& grid, const Launch& launch,
                  const char* during, Arguments&&... arguments) {
  cudaLaunchAttribute overlap;
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid.blocks);
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.stream = launch.stream;
  config.attrs = &overlap;
  config.numAttrs = launch.overlaps ? 1 : 0;
  cuda_check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), during);
}

}  // namespace cleave::nccl
