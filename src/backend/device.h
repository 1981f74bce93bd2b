// Device: one place that computes and has its own memory. An implementation exists when it passes
// tests/conformance/device_conformance.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "comm/communicator.h"

namespace cleave {
class ThreadPool;
}

namespace cleave::backend {

class Device;

// Memory of a device, owned; given back when the object goes. Must not outlive its device.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, std::byte* data, int64_t bytes)
      : device_(&device), data_(data), bytes_(bytes) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~Buffer();

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

// What a device's memory holds now, in bytes.
struct MemoryUse {
  int64_t now = 0;
  int64_t peak = 0;   // since the device was made or `reset_peak`
  int64_t limit = 0;  // 0: only what the machine has
};

// Threads: memory may be allocated and given back by any thread; the pool is used by one thread at
// a time, the one that runs the rank.
class Device {
 public:
  virtual ~Device() = default;
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  virtual std::string name() const = 0;          // "cpu:1"
  virtual std::string_view backend() const = 0;  // "cpu"
  // What times hold for, besides threads: the model and the instruction set that kernels use,
  // "AMD EPYC, avx2".
  virtual std::string kind() const = 0;
  virtual int threads() const = 0;  // that kernels use at once
  virtual ThreadPool& pool() = 0;

  // `bytes` of memory, aligned to 64 bytes, zeroed; `what` it is for is named where it fails.
  // Error(kOutOfMemory) where the limit or the machine forbids it; 0 bytes are an empty Buffer.
  virtual Buffer allocate(int64_t bytes, std::string_view what) = 0;
  virtual MemoryUse memory() const = 0;
  virtual void set_memory_limit(int64_t bytes) = 0;
  virtual void reset_peak() = 0;

  // Work that is put on a stream runs in order; `synchronize` returns when it is done. The CPU's
  // calls have completed when they return.
  virtual StreamHandle default_stream() = 0;
  virtual void copy_to_device(void* to, const void* from_host, int64_t bytes,
                              StreamHandle stream) = 0;
  virtual void copy_to_host(void* to_host, const void* from, int64_t bytes,
                            StreamHandle stream) = 0;
  virtual void copy(void* to, const void* from, int64_t bytes, StreamHandle stream) = 0;
  virtual void synchronize(StreamHandle stream) = 0;

 protected:
  friend class Buffer;
  virtual void free(std::byte* data, int64_t bytes) noexcept = 0;
};

inline Buffer::~Buffer() {
  if (data_ != nullptr) device_->free(data_, bytes_);
}

}  // namespace cleave::backend
