// What GPUs the tests have, and their memory.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace cleave::conformance {

inline int gpus() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

// cuda:0, cuda:1, ...
inline std::vector<int> first_gpus(int count) {
  std::vector<int> devices(static_cast<size_t>(count));
  std::iota(devices.begin(), devices.end(), 0);
  return devices;
}

inline void require(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

// A stream of a device, which it makes current.
class Stream {
 public:
  explicit Stream(int device) : device_(device) {
    make_current();
    require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  Stream(Stream&& other) noexcept
      : device_(other.device_), stream_(std::exchange(other.stream_, nullptr)) {}
  ~Stream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  void make_current() const { require(cudaSetDevice(device_)); }
  cudaStream_t get() const { return stream_; }
  int device() const { return device_; }

 private:
  int device_;
  cudaStream_t stream_ = nullptr;
};

// Memory of the current device with guard bytes behind it that nobody may touch. It grows.
class GuardedMemory {
 public:
  static constexpr int64_t kGuardBytes = 256;

  GuardedMemory() = default;
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  ~GuardedMemory() {
    if (data_ != nullptr) cudaFree(data_);
  }

  // The host's `bytes` and guard bytes behind them, `shift` bytes into the memory.
  std::byte* fill(const void* from, int64_t bytes, int64_t shift, cudaStream_t stream) {
    reserve(shift + bytes + kGuardBytes);
    used_ = shift + bytes;
    if (bytes > 0) {
      require(cudaMemcpyAsync(data_ + shift, from, static_cast<size_t>(bytes),
                              cudaMemcpyHostToDevice, stream));
    }
    require(cudaMemsetAsync(data_ + used_, kGuard, kGuardBytes, stream));
    return data_ + shift;
  }
  // Whether the guard bytes are as they were.
  bool intact(cudaStream_t stream) const {
    std::vector<unsigned char> guard(kGuardBytes);
    require(
        cudaMemcpyAsync(guard.data(), data_ + used_, guard.size(), cudaMemcpyDeviceToHost, stream));
    require(cudaStreamSynchronize(stream));
    return guard == std::vector<unsigned char>(kGuardBytes, kGuard);
  }
  std::byte* data() const { return data_; }

 private:
  static constexpr int kGuard = 0xa5;
  static constexpr int64_t kLeastBytes = int64_t{16} << 20;
  void reserve(int64_t bytes) {
    if (bytes <= bytes_) return;
    // Rarely: giving memory back waits for GPUs that wait for this one.
    bytes = std::max(bytes, kLeastBytes);
    if (data_ != nullptr) require(cudaFree(data_));
    data_ = nullptr;
    void* memory = nullptr;
    require(cudaMalloc(&memory, static_cast<size_t>(bytes)));
    data_ = static_cast<std::byte*>(memory);
    bytes_ = bytes;
  }

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  int64_t used_ = 0;
};

}  // namespace cleave::conformance
