// Device: one place that computes and has its own memory. An implementation exists when it passes
// tests/conformance/device_conformance.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "types/noise.h"

namespace cleave {
class ThreadPool;
}

namespace cleave::backend {

class Device;
class HostMemory;

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

// Which device, and what it may use.
struct DeviceOptions {
  int index = 0;             // of "cpu:index"
  int devices = 1;           // that share the machine
  int threads = 0;           // of the host for this device; 0: its share of the cores
  int64_t memory_limit = 0;  // bytes; 0: none
};

// Bytes of a device's memory that the host fills.
struct HostPiece {
  void* to = nullptr;
  int64_t bytes = 0;
};
// Writes a piece into memory of the host of exactly its size.
using FillPiece = std::function<void(size_t piece, std::span<std::byte> into)>;
// Bytes of a device's memory that the host reads, and what reads a piece.
struct DevicePiece {
  const void* from = nullptr;
  int64_t bytes = 0;
};
using ReadPiece = std::function<void(size_t piece, std::span<const std::byte> bytes)>;

// Takes the time of what is put on a stream. Used by one thread.
class StreamClock {
 public:
  using Duration = std::chrono::steady_clock::duration;
  virtual ~StreamClock() = default;
  // Marks when all that was put on the stream so far is done.
  virtual void mark() = 0;
  // What is put on the stream now waits for release(), so that a device which is faster than its
  // work is put on the stream does not wait for that between two marks. Not for long: a fraction of
  // a second later the stream goes on by itself.
  virtual void hold() {}
  virtual void release() {}
  // Waits for the stream; when each mark was, counted from the first. The next mark is the first
  // again.
  virtual std::vector<Duration> read() = 0;
};

// Work that was put on a stream once and can be again. Used by the thread that runs the rank.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(StreamHandle stream) = 0;
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
  // Whether the host reads and writes the device's memory as its own: then nothing is copied.
  virtual bool memory_is_host() const = 0;
  // Bytes that all kernels' operands may fill before a trial's finds none of them in a cache.
  virtual int64_t cold_bytes() const = 0;
  // Called by a thread before it prepares or runs kernels or collectives of this device.
  virtual void make_current() {}

  // `bytes` of memory, aligned to 64 bytes, zeroed; `what` it is for is named where it fails.
  // Error(kOutOfMemory) where the limit or the machine forbids it; 0 bytes are an empty Buffer.
  virtual Buffer allocate(int64_t bytes, std::string_view what) = 0;
  virtual MemoryUse memory() const = 0;
  virtual void set_memory_limit(int64_t bytes) = 0;
  virtual void reset_peak() = 0;

  // Work that is put on a stream runs in order; `synchronize` returns when it is done. The CPU's
  // calls have completed when they return.
  virtual StreamHandle default_stream() = 0;
  // Memory of the host that copies read and write in place, while the caller goes on, instead of
  // through memory of their own; null where there is none. The devices of a backend share it.
  virtual std::shared_ptr<HostMemory> host_memory() { return nullptr; }
  virtual void copy_to_device(void* to, const void* from_host, int64_t bytes,
                              StreamHandle stream) = 0;
  virtual void copy_to_host(void* to_host, const void* from, int64_t bytes,
                            StreamHandle stream) = 0;
  virtual void copy(void* to, const void* from, int64_t bytes, StreamHandle stream) = 0;
  // `rows` stretches of `row_bytes` each, which begin so many bytes apart; both within the device.
  virtual void copy_rows(void* to, int64_t to_stride, const void* from, int64_t from_stride,
                         int64_t row_bytes, int64_t rows, StreamHandle stream) = 0;
  // Fills memory of the device from the host: `fill` is called once for each piece, in any order,
  // by all threads of the pool. Where the device's memory is the host's it writes in place; else
  // what it wrote is on its way when this returns, in the stream's order, while other pieces are
  // filled. What `fill` throws is thrown here; what the pieces hold is then unknown.
  virtual void upload(std::span<const HostPiece> pieces, const FillPiece& fill,
                      StreamHandle stream);
  // The other way: `read` is called once for each piece, in any order, by all threads of the pool,
  // with what lies there when all that was put on the stream before is done.
  virtual void download(std::span<const DevicePiece> pieces, const ReadPiece& read,
                        StreamHandle stream);
  // Makes the dense tensor of this shape at `to`, bit by bit as make_noise does; false, and nothing
  // done, where the host has to.
  virtual bool make_noise(const Noise& noise, std::span<const int64_t> shape, void* to,
                          StreamHandle stream) {
    static_cast<void>(noise);
    static_cast<void>(shape);
    static_cast<void>(to);
    static_cast<void>(stream);
    return false;
  }
  virtual void synchronize(StreamHandle stream) = 0;
  virtual std::unique_ptr<StreamClock> make_clock(StreamHandle stream) = 0;
  // Whether it replays a recording faster than the same work is put on a stream again.
  virtual bool records() const { return false; }
  // What `work` puts on the stream, recorded and not done; null where the device records nothing.
  virtual std::unique_ptr<Recording> record(StreamHandle stream,
                                            const std::function<void()>& work) {
    static_cast<void>(stream);
    static_cast<void>(work);
    return nullptr;
  }

 protected:
  friend class Buffer;
  virtual void free(std::byte* data, int64_t bytes) noexcept = 0;
};

inline Buffer::~Buffer() {
  if (data_ != nullptr) device_->free(data_, bytes_);
}

}  // namespace cleave::backend
