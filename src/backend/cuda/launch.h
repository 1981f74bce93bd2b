// Puts device code on a stream.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "backend/cuda/cuda_device.h"
#include "backend/cuda/overlap.h"
#include "backend/kernel.h"
#include "base/check.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {

// The device of a kernel of this backend.
inline CudaDevice& cuda_device(KernelCache& cache) {
  return static_cast<CudaDevice&>(cache.device());
}

struct Grid {
  int64_t blocks = 1;
  int threads = 256;
  int shared_bytes = 0;
};

// Blocks of `threads` for so many pieces of work, a thread each, at most `waves` for each
// multiprocessor: threads go on with the next piece.
inline Grid grid_for(int64_t work, const CudaDevice& device, int threads = 256, int waves = 8) {
  const int64_t needed = (work + threads - 1) / threads;
  const int64_t most = int64_t{device.multiprocessors()} * waves * (1024 / std::min(threads, 1024));
  return {std::clamp<int64_t>(needed, 1, std::max<int64_t>(most, 1)), threads, 0};
}

// `kernel` is a module's. `arguments` are the addresses of its parameters.
inline void launch_kernel(cudaKernel_t kernel, const Grid& grid, StreamHandle stream,
                          std::span<const void* const> arguments) {
  cudaLaunchAttribute overlap;
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = static_cast<size_t>(grid.shared_bytes);
  config.stream = static_cast<cudaStream_t>(stream.native);
  config.attrs = &overlap;
  config.numAttrs = kernels_overlap() ? 1 : 0;
  cuda_check(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel),
                                 const_cast<void**>(arguments.data())),
             "starting a kernel");
}

inline void launch_kernel(cudaKernel_t kernel, const Grid& grid, StreamHandle stream,
                          std::initializer_list<const void*> arguments) {
  launch_kernel(kernel, grid, stream, std::span(arguments.begin(), arguments.size()));
}

// Whether all pointers given are multiples of `bytes`; null is.
inline bool are_aligned(std::initializer_list<const void*> pointers, int64_t bytes) {
  uintptr_t bits = 0;
  for (const void* pointer : pointers) bits |= reinterpret_cast<uintptr_t>(pointer);
  return bits % static_cast<uintptr_t>(bytes) == 0;
}

// For kernels that rely on TensorView::alignment: a GPU is lost to the process that reads wrongly.
inline void check_aligned(std::initializer_list<const void*> pointers, int64_t bytes) {
  CLEAVE_CHECK(are_aligned(pointers, bytes), "an operand does not begin where its view says");
}

}  // namespace cleave::backend
