#include "comm/nccl/pace.h"

#include <thread>

#include "comm/nccl/check.h"

namespace cleave::nccl {
namespace {

// With some kernels for each call, twice this many stay far below what a stream takes.
constexpr int kCalls = 32;

}  // namespace

Pace::~Pace() {
  if (mark_ != nullptr) cudaEventDestroy(mark_);
}

void Pace::keep(cudaStream_t stream, const std::function<bool()>& stop) {
  if (++calls_ % kCalls != 0) return;
  if (mark_ == nullptr) {
    cuda_check(cudaEventCreateWithFlags(&mark_, cudaEventDisableTiming), "making an event");
  }
  while (marked_) {
    const cudaError_t status = cudaEventQuery(mark_);
    if (status == cudaSuccess) break;
    if (status != cudaErrorNotReady) cuda_check(status, "waiting for the device");
    if (stop()) return;
    std::this_thread::yield();
  }
  cuda_check(cudaEventRecord(mark_, stream), "recording an event");
  marked_ = true;
}

}  // namespace cleave::nccl
