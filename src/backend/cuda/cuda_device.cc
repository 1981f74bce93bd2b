#include "backend/cuda/cuda_device.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "backend/cuda/cuda_clock.h"
#include "backend/cuda/noise.h"
#include "backend/cuda/pinned_memory.h"
#include "backend/cuda/staging.h"
#include "backend/memory_account.h"
#include "backend/small_memory.h"
#include "base/check.h"
#include "base/thread_pool.h"
#include "base/wait_word.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

cudaStream_t native(StreamHandle stream) { return static_cast<cudaStream_t>(stream.native); }

class GraphRecording final : public Recording {
 public:
  explicit GraphRecording(cudaGraph_t graph) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    cuda_check(status, "making a graph executable");
  }
  ~GraphRecording() override { cudaGraphExecDestroy(executable_); }
  void replay(StreamHandle stream) override {
    cuda_check(cudaGraphLaunch(executable_, native(stream)), "replaying a graph");
  }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

class Gpu final : public CudaDevice {
 public:
  Gpu(const DeviceOptions& options, std::shared_ptr<Modules> modules)
      : index_(options.index),
        name_("cuda:" + std::to_string(options.index)),
        account_(name_, options.memory_limit),
        modules_(std::move(modules)),
        pool_(threads_of(options)),
        staging_(pool_.threads() + kSpareSlots) {
    cuda_check(cudaSetDevice(index_), "choosing the device");
    cuda_check(cudaGetDeviceProperties(&properties_, index_), "asking for its properties");
    cuda_check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    cuda_check(cudaStreamCreateWithFlags(&clearing_, cudaStreamNonBlocking), "making a stream");
  }
  ~Gpu() override {
    cudaSetDevice(index_);
    cudaStreamSynchronize(stream_);  // what is staged is read
    while (!libraries_.empty()) libraries_.pop_back();
    hold_.reset();
    for (std::byte* block : small_.release()) cudaFree(block);
    cudaStreamDestroy(clearing_);
    cudaStreamDestroy(stream_);
  }

  std::string name() const override { return name_; }
  std::string_view backend() const override { return "cuda"; }
  std::string kind() const override {
    return std::string(properties_.name) + ", sm_" + std::to_string(properties_.major) +
           std::to_string(properties_.minor);
  }
  int threads() const override { return pool_.threads(); }
  ThreadPool& pool() override { return pool_; }
  bool memory_is_host() const override { return false; }
  int64_t cold_bytes() const override { return 2 * int64_t{properties_.l2CacheSize}; }
  void make_current() override { cuda_check(cudaSetDevice(index_), "choosing the device"); }
  int index() const override { return index_; }
  int multiprocessors() const override { return properties_.multiProcessorCount; }
  Modules& modules() override { return *modules_; }
  void* library(std::string_view name,
                const std::function<std::shared_ptr<void>()>& make) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [known, library] : libraries_) {
      if (known == name) return library.get();
    }
    libraries_.emplace_back(name, make());
    return libraries_.back().second.get();
  }

  Buffer allocate(int64_t bytes, std::string_view what) override {
    CLEAVE_CHECK(bytes >= 0, "a negative number of bytes");
    if (bytes == 0) return {};
    account_.reserve(bytes, what);
    make_current();
    if (std::byte* piece = small_piece(bytes)) return {*this, piece, bytes};
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, static_cast<size_t>(bytes));
    if (status != cudaSuccess) {
      cudaGetLastError();  // the next call is not to blame
      account_.give_back(bytes);
      if (status != cudaErrorMemoryAllocation) cuda_check(status, "allocating memory");
      throw out_of_device_memory(what, bytes);
    }
    // On a stream of its own: nothing waits for what is on its way to other memory.
    cuda_check(cudaMemsetAsync(data, 0, static_cast<size_t>(bytes), clearing_), "clearing memory");
    cuda_check(cudaStreamSynchronize(clearing_), "clearing memory");
    return {*this, static_cast<std::byte*>(data), bytes};
  }
  MemoryUse memory() const override { return account_.use(); }
  void set_memory_limit(int64_t bytes) override { account_.set_limit(bytes); }
  void reset_peak() override { account_.reset_peak(); }

  StreamHandle default_stream() override { return {stream_}; }
  std::shared_ptr<HostMemory> host_memory() override { return pinned_memory(index_); }
  void copy_to_device(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    copy_bytes(to, from, bytes, cudaMemcpyHostToDevice, stream, "copying to the device");
  }
  void copy_to_host(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    copy_bytes(to, from, bytes, cudaMemcpyDeviceToHost, stream, "copying to the host");
  }
  void copy(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    copy_bytes(to, from, bytes, cudaMemcpyDeviceToDevice, stream, "copying within the device");
  }
  void copy_rows(void* to, int64_t to_stride, const void* from, int64_t from_stride,
                 int64_t row_bytes, int64_t rows, StreamHandle stream) override {
    if (row_bytes == 0 || rows == 0) return;
    cuda_check(cudaMemcpy2DAsync(to, static_cast<size_t>(std::max(to_stride, row_bytes)), from,
                                 static_cast<size_t>(std::max(from_stride, row_bytes)),
                                 static_cast<size_t>(row_bytes), static_cast<size_t>(rows),
                                 cudaMemcpyDeviceToDevice, native(stream)),
               "copying rows");
  }
  void upload(std::span<const HostPiece> pieces, const FillPiece& fill,
              StreamHandle stream) override {
    pool_.parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const HostPiece& piece = pieces[static_cast<size_t>(i)];
      if (piece.bytes == 0) return fill(static_cast<size_t>(i), {});
      make_current();
      staging_.with_slot([&](Staging::Slot& slot) {
        const auto bytes = static_cast<size_t>(piece.bytes);
        fill(static_cast<size_t>(i), slot.reserve(bytes));
        slot.copy(piece.to, bytes, native(stream));
      });
    });
  }
  void download(std::span<const DevicePiece> pieces, const ReadPiece& read,
                StreamHandle stream) override {
    pool_.parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
      const DevicePiece& piece = pieces[static_cast<size_t>(i)];
      if (piece.bytes == 0) return read(static_cast<size_t>(i), {});
      make_current();
      staging_.with_slot([&](Staging::Slot& slot) {
        const auto bytes = static_cast<size_t>(piece.bytes);
        read(static_cast<size_t>(i), slot.fetch(piece.from, bytes, native(stream)));
      });
    });
  }
  bool make_noise(const Noise& noise, std::span<const int64_t> shape, void* to,
                  StreamHandle stream) override {
    return make_noise_on(*this, noise, shape, to, stream);
  }
  void synchronize(StreamHandle stream) override {
    cuda_check(cudaStreamSynchronize(native(stream)), "waiting for the device");
  }
  std::unique_ptr<StreamClock> make_clock(StreamHandle stream) override {
    if (!hold_) hold_ = std::make_unique<StreamHold>(*modules_);
    return make_cuda_clock(native(stream), *modules_, *hold_);
  }
  bool records() const override { return true; }
  std::unique_ptr<Recording> record(StreamHandle stream,
                                    const std::function<void()>& work) override {
    set_recording(true);
    const cudaError_t begun =
        cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeThreadLocal);
    if (begun != cudaSuccess) set_recording(false);
    cuda_check(begun, "beginning to record");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(native(stream), &graph);
      set_recording(false);
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    const cudaError_t status = cudaStreamEndCapture(native(stream), &graph);
    set_recording(false);
    cuda_check(status, "recording");
    return std::make_unique<GraphRecording>(graph);
  }

 protected:
  void free(std::byte* data, int64_t bytes) noexcept override {
    account_.give_back(bytes);
    {
      const std::lock_guard lock(small_mutex_);
      if (small_.owns(data)) return small_.put_back(data, bytes);
    }
    cudaSetDevice(index_);
    cudaFree(data);
  }

 private:
  // Slots that are copied from while all threads fill others.
  static constexpr int kSpareSlots = 2;

  // Threads of the host that read and check weights: each 2 to 4 GB/s out of the page cache. A few
  // are enough for a link, and each has a slot of 16 MiB.
  static int threads_of(const DeviceOptions& options) {
    if (options.threads > 0) return options.threads;
    return std::clamp(available_cores() / std::max(1, options.devices), 1, 12);
  }
  // Null where so many bytes are none, or where there is nothing to cut it from. Cleared in the
  // stream's order, behind whatever still uses what was put back: nobody waits.
  std::byte* small_piece(int64_t bytes) {
    if (bytes > SmallMemory::kLargest) return nullptr;
    const std::lock_guard lock(small_mutex_);
    if (recording_) return nullptr;  // it would be cleared in each replay
    std::byte* const piece = small_.take(bytes);
    if (piece == nullptr) return nullptr;
    const cudaError_t status = cudaMemsetAsync(piece, 0, static_cast<size_t>(bytes), stream_);
    if (status == cudaSuccess) return piece;
    small_.put_back(piece, bytes);
    account_.give_back(bytes);
    cuda_check(status, "clearing memory");
    return nullptr;
  }
  static std::byte* small_block() {
    void* block = nullptr;
    if (cudaMalloc(&block, size_t{SmallMemory::kBlock}) == cudaSuccess) {
      return static_cast<std::byte*>(block);
    }
    cudaGetLastError();  // the next call is not to blame
    return nullptr;
  }
  void set_recording(bool recording) {
    const std::lock_guard lock(small_mutex_);
    recording_ = recording;
  }
  void copy_bytes(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind,
                  StreamHandle stream, const char* during) {
    if (bytes == 0) return;
    cuda_check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, native(stream)), during);
  }

  const int index_;
  const std::string name_;
  MemoryAccount account_;
  const std::shared_ptr<Modules> modules_;
  cudaDeviceProp properties_ = {};
  cudaStream_t stream_ = nullptr;
  cudaStream_t clearing_ = nullptr;
  std::unique_ptr<StreamHold> hold_;  // where a clock was made
  // In the order in which they were made: later ones may use earlier ones, and are gone before.
  std::vector<std::pair<std::string, std::shared_ptr<void>>> libraries_;
  ThreadPool pool_;
  Staging staging_;
  mutable std::mutex mutex_;

  std::mutex small_mutex_;  // guards what follows
  SmallMemory small_{small_block};
  bool recording_ = false;  // the stream's work
};

// CUDA's numbers are 1000 · major + 10 · minor.
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

void require_device(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    throw Error(ErrorCode::kDevice,
                "the NVIDIA driver is too old: it is for CUDA " + version_text(driver) +
                    ", this build needs " + version_text(CUDART_VERSION),
                "install a newer driver, see `cleave doctor` for the versions");
  }
  if (status != cudaErrorNoDevice) cuda_check(status, "looking for devices");
  if (index >= count) {
    throw Error(ErrorCode::kDevice,
                "there is no cuda:" + std::to_string(index) + ": this machine has " +
                    std::to_string(count) + " GPU(s)",
                "see `cleave doctor`; CUDA_VISIBLE_DEVICES may hide some");
  }
  int major = 0;
  int minor = 0;
  cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index), "asking");
  cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index), "asking");
  if (major * 10 + minor < kLeastComputeCapability) {
    throw Error(ErrorCode::kDevice,
                "cuda:" + std::to_string(index) + " has compute capability " +
                    std::to_string(major) + "." + std::to_string(minor) + ", which is too old",
                "8.0 (Ampere) is the least");
  }
}

}  // namespace

std::unique_ptr<CudaDevice> make_cuda_device(const DeviceOptions& options,
                                             std::shared_ptr<Modules> modules) {
  require_device(options.index);
  return std::make_unique<Gpu>(options, std::move(modules));
}

}  // namespace cleave::backend
