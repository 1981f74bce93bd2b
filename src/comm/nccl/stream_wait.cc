#include "comm/nccl/stream_wait.h"

#include <thread>

#include "comm/nccl/check.h"

namespace cleave::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kSpin = std::chrono::milliseconds(2);
constexpr auto kPause = std::chrono::microseconds(20);

}  // namespace

bool poll_stream(cudaStream_t stream, std::chrono::milliseconds limit,
                 const std::function<bool()>& stop) {
  const Clock::time_point start = Clock::now();
  while (true) {
    const cudaError_t status = cudaStreamQuery(stream);
    if (status == cudaSuccess) return true;
    if (status != cudaErrorNotReady) cuda_check(status, "waiting for the device");
    if (stop()) return false;
    const auto waited = Clock::now() - start;
    if (limit.count() > 0 && waited > limit) return false;
    if (waited > kSpin) std::this_thread::sleep_for(kPause);
  }
}

}  // namespace cleave::nccl
