#include "backend/cuda/staging.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "backend/memory_account.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

// Slots grow by doubling: such memory takes time to get, and small networks need little. Weights
// come in pieces of up to 16 MiB.
constexpr size_t kLeastSlot = size_t{1} << 20;

}  // namespace

Staging::Slot::Slot() {
  cuda_check(cudaEventCreateWithFlags(&copied_, cudaEventDisableTiming), "making an event");
}

Staging::Slot::~Slot() {
  cudaFreeHost(data_);
  cudaEventDestroy(copied_);
}

std::span<std::byte> Staging::Slot::reserve(size_t bytes) {
  if (bytes > bytes_) {
    cudaFreeHost(std::exchange(data_, nullptr));
    bytes_ = 0;
    const size_t wanted = std::bit_ceil(std::max(bytes, kLeastSlot));
    if (cudaHostAlloc(&data_, wanted, cudaHostAllocPortable) != cudaSuccess) {
      cudaGetLastError();  // the next call is not to blame
      throw Error(ErrorCode::kOutOfMemory,
                  "the host has no " + mebibytes(static_cast<int64_t>(wanted)) +
                      " that a GPU could read and write",
                  "close other programs; `ulimit -l` may limit such memory");
    }
    bytes_ = wanted;
  }
  return {static_cast<std::byte*>(data_), bytes};
}

void Staging::Slot::copy(void* to, size_t bytes, cudaStream_t stream) {
  cuda_check(cudaMemcpyAsync(to, data_, bytes, cudaMemcpyHostToDevice, stream),
             "copying to the device");
  cuda_check(cudaEventRecord(copied_, stream), "recording an event");
}

std::span<const std::byte> Staging::Slot::fetch(const void* from, size_t bytes,
                                                cudaStream_t stream) {
  const std::span<std::byte> into = reserve(bytes);
  cuda_check(cudaMemcpyAsync(into.data(), from, bytes, cudaMemcpyDeviceToHost, stream),
             "copying to the host");
  cuda_check(cudaEventRecord(copied_, stream), "recording an event");
  wait();
  return into;
}

bool Staging::Slot::is_done() const {
  if (cudaEventQuery(copied_) == cudaSuccess) return true;
  cudaGetLastError();  // not ready is no error
  return false;
}

void Staging::Slot::wait() const {
  cuda_check(cudaEventSynchronize(copied_), "waiting for a copy");
}

Staging::Staging(int slots) : most_(slots) {}

Staging::~Staging() = default;

std::unique_ptr<Staging::Slot> Staging::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty() || (made_ < most_ && !free_.front()->is_done())) {
    auto slot = std::unique_ptr<Slot>(new Slot());
    ++made_;
    return slot;
  }
  auto slot = std::move(free_.front());
  free_.pop_front();
  return slot;
}

void Staging::put_back(std::unique_ptr<Slot> slot) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(slot));
}

}  // namespace cleave::backend
