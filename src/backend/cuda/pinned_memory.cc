#include "backend/cuda/pinned_memory.h"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <thread>

namespace cleave::backend {
namespace {

// What cannot be swapped out is not all of the host's memory.
size_t most_pinned_bytes() {
  constexpr size_t kMost = size_t{8} << 30;
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return kMost;
  return std::min(kMost, static_cast<size_t>(pages) * static_cast<size_t>(page) / 4);
}

// By a thread of its own: what the caller's has chosen as its device stays, and no other device is
// woken up.
template <class Call>
void with_device(int index, const Call& call) {
  std::thread([&] {
    if (cudaSetDevice(index) == cudaSuccess) call();
    cudaGetLastError();  // the next call is not to blame
  }).join();
}

}  // namespace

std::shared_ptr<HostMemory> pinned_memory(int index) {
  static const auto* const memory = new std::shared_ptr<HostMemory>(HostMemory::make(
      most_pinned_bytes(),
      [index](size_t bytes) {
        void* data = nullptr;
        with_device(index, [&] { cudaHostAlloc(&data, bytes, cudaHostAllocPortable); });
        return data;
      },
      [index](void* data) { with_device(index, [&] { cudaFreeHost(data); }); }));
  return *memory;
}

}  // namespace cleave::backend
