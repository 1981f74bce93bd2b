// A backend whose memory the host must not touch, as far as the runtime knows: the CPU's, so that
// tests need no GPU. Counts what is copied to and from it, and the clocks that are made. Copies to
// one device may be late.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "backend/builtin_kernels.h"
#include "backend/cpu/cpu_device.h"
#include "backend/host_memory.h"

namespace cleave::testing {

struct DeviceCounts {
  std::atomic<int64_t> to_device{0};  // bytes
  std::atomic<int64_t> to_host{0};
  std::atomic<int64_t> clocks{0};
  std::atomic<int64_t> in_pieces{0};  // bytes that threads copied, to and from it
};

// By how much what is copied to this device comes too late.
struct Lateness {
  std::string device;
  std::chrono::milliseconds by{0};
};

class DistantDevice final : public backend::Device {
 public:
  DistantDevice(const backend::DeviceOptions& options, std::shared_ptr<DeviceCounts> counts,
                const Lateness& lateness, std::shared_ptr<backend::HostMemory> host_memory)
      : inner_(backend::make_cpu_device(options)),
        counts_(std::move(counts)),
        host_memory_(std::move(host_memory)),
        late_by_(inner_->name() == lateness.device ? lateness.by : std::chrono::milliseconds{0}) {}

  std::string name() const override { return inner_->name(); }
  std::string_view backend() const override { return inner_->backend(); }
  std::string kind() const override { return inner_->kind(); }
  int threads() const override { return inner_->threads(); }
  ThreadPool& pool() override { return inner_->pool(); }
  bool memory_is_host() const override { return false; }
  int64_t cold_bytes() const override { return inner_->cold_bytes(); }
  backend::Buffer allocate(int64_t bytes, std::string_view what) override {
    return inner_->allocate(bytes, what);
  }
  backend::MemoryUse memory() const override { return inner_->memory(); }
  void set_memory_limit(int64_t bytes) override { inner_->set_memory_limit(bytes); }
  void reset_peak() override { inner_->reset_peak(); }
  StreamHandle default_stream() override { return {}; }
  std::shared_ptr<backend::HostMemory> host_memory() override { return host_memory_; }
  void upload(std::span<const backend::HostPiece> pieces, const backend::FillPiece& fill,
              StreamHandle stream) override {
    for (const backend::HostPiece& piece : pieces) counts_->in_pieces += piece.bytes;
    backend::Device::upload(pieces, fill, stream);
  }
  void download(std::span<const backend::DevicePiece> pieces, const backend::ReadPiece& read,
                StreamHandle stream) override {
    for (const backend::DevicePiece& piece : pieces) counts_->in_pieces += piece.bytes;
    backend::Device::download(pieces, read, stream);
  }
  void copy_to_device(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    counts_->to_device += bytes;
    std::this_thread::sleep_for(late_by_);
    inner_->copy(to, from, bytes, stream);
  }
  void copy_to_host(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    counts_->to_host += bytes;
    inner_->copy(to, from, bytes, stream);
  }
  void copy(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    inner_->copy(to, from, bytes, stream);
  }
  void copy_rows(void* to, int64_t to_stride, const void* from, int64_t from_stride,
                 int64_t row_bytes, int64_t rows, StreamHandle stream) override {
    inner_->copy_rows(to, to_stride, from, from_stride, row_bytes, rows, stream);
  }
  void synchronize(StreamHandle) override {}
  std::unique_ptr<backend::StreamClock> make_clock(StreamHandle stream) override {
    ++counts_->clocks;
    return inner_->make_clock(stream);
  }

 protected:
  void free(std::byte*, int64_t) noexcept override {}  // buffers are the inner device's

 private:
  std::unique_ptr<backend::Device> inner_;
  std::shared_ptr<DeviceCounts> counts_;
  std::shared_ptr<backend::HostMemory> host_memory_;
  std::chrono::milliseconds late_by_;
};

class DistantBackend final : public backend::Backend {
 public:
  explicit DistantBackend(std::vector<std::string> warnings = {}, Lateness lateness = {})
      : warnings_(std::move(warnings)), lateness_(std::move(lateness)) {}
  std::string_view name() const override { return "cpu"; }
  int device_count() const override { return 16; }
  std::unique_ptr<backend::Device> make_device(
      const backend::DeviceOptions& options) const override {
    return std::make_unique<DistantDevice>(options, counts_, lateness_, host_memory_);
  }
  std::vector<std::unique_ptr<Communicator>> make_group(
      std::span<backend::Device* const> devices,
      const backend::GroupOptions& options) const override {
    return backend::make_cpu_backend({})->make_group(devices, options);
  }
  backend::KernelRegistry kernels() const override { return backend::builtin_cpu_kernels(); }
  std::vector<std::string> warnings(std::span<backend::Device* const>) const override {
    return warnings_;
  }
  std::vector<backend::Finding> findings() const override { return {}; }
  const DeviceCounts& counts() const { return *counts_; }
  // That copies are in place from and to.
  void set_host_memory(std::shared_ptr<backend::HostMemory> memory) {
    host_memory_ = std::move(memory);
  }

 private:
  std::vector<std::string> warnings_;
  Lateness lateness_;
  std::shared_ptr<backend::HostMemory> host_memory_;
  std::shared_ptr<DeviceCounts> counts_ = std::make_shared<DeviceCounts>();
};

}  // namespace cleave::testing
