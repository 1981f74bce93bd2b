// Memory and streams that a communicator needs for itself.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "comm/message_plan.h"

namespace cleave::nccl {

// Memory of the device that is current when it is made.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // Error(kOutOfMemory) where there is not enough; 0 bytes are null.
  explicit DeviceMemory(int64_t bytes);
  DeviceMemory(DeviceMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceMemory() {
    if (data_ != nullptr) cudaFree(data_);
  }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// A stream of the device that is current when it is made; it does not wait for other streams.
class PrivateStream {
 public:
  PrivateStream();
  PrivateStream(PrivateStream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  PrivateStream& operator=(PrivateStream&&) = delete;
  ~PrivateStream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// What calls put aside on a rank's device. It grows; what it had before stays, because recorded
// work may refer to it. Used by the rank's thread.
class Staging {
 public:
  // At least `bytes` of memory, aligned to 256 bytes, until the next call on the same stream.
  std::byte* get(int64_t bytes);

 private:
  std::vector<DeviceMemory> blocks_;  // the last one is in use
};

// A copy in the current device's memory.
DeviceMemory upload(const std::vector<CopyRuns>& entries);

}  // namespace cleave::nccl
