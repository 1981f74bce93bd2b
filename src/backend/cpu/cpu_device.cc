#include "backend/cpu/cpu_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "backend/cpu/simd/simd.h"
#include "backend/memory_account.h"
#include "base/check.h"
#include "base/cpu_info.h"
#include "base/thread_pool.h"
#include "base/wait_word.h"
#include "cleave/error.h"

namespace cleave::backend {
namespace {

constexpr size_t kAlignment = 64;

// All is done when a call returns: the host's clock says when.
class HostClock final : public StreamClock {
 public:
  void mark() override { marks_.push_back(std::chrono::steady_clock::now()); }
  std::vector<Duration> read() override {
    std::vector<Duration> since_first;
    for (const auto& mark : marks_) since_first.push_back(mark - marks_.front());
    marks_.clear();
    return since_first;
  }

 private:
  std::vector<std::chrono::steady_clock::time_point> marks_;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const DeviceOptions& options)
      : name_("cpu:" + std::to_string(options.index)),
        account_(name_, options.memory_limit),
        pool_(threads_of(options)) {}
  ~CpuDevice() override = default;

  std::string name() const override { return name_; }
  std::string_view backend() const override { return "cpu"; }
  std::string kind() const override {
    const std::string model = cpu_info("model name");
    return (model.empty() ? "unknown model" : model) + ", " + simd::best().name;
  }
  int threads() const override { return pool_.threads(); }
  ThreadPool& pool() override { return pool_; }
  bool memory_is_host() const override { return true; }
  // More than a core's share of the cache.
  int64_t cold_bytes() const override { return int64_t{24} << 20; }

  Buffer allocate(int64_t bytes, std::string_view what) override {
    CLEAVE_CHECK(bytes >= 0, "a negative number of bytes");
    if (bytes == 0) return {};
    account_.reserve(bytes, what);
    // Fresh pages of a large block are zero already, and are touched first by who uses them.
    void* data = bytes >= kZeroPages ? allocate_pages(bytes) : allocate_small(bytes);
    if (data == nullptr) {
      account_.give_back(bytes);
      throw Error(ErrorCode::kOutOfMemory,
                  name_ + " has no " + mebibytes(bytes) + " left for " + std::string(what),
                  "close other programs, use more devices or a smaller profile");
    }
    return {*this, static_cast<std::byte*>(data), bytes};
  }
  MemoryUse memory() const override { return account_.use(); }
  void set_memory_limit(int64_t bytes) override { account_.set_limit(bytes); }
  void reset_peak() override { account_.reset_peak(); }

  StreamHandle default_stream() override { return {}; }
  void copy_to_device(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    copy(to, from, bytes, stream);
  }
  void copy_to_host(void* to, const void* from, int64_t bytes, StreamHandle stream) override {
    copy(to, from, bytes, stream);
  }
  void copy(void* to, const void* from, int64_t bytes, StreamHandle) override {
    if (bytes > 0) std::memmove(to, from, static_cast<size_t>(bytes));
  }
  void copy_rows(void* to, int64_t to_stride, const void* from, int64_t from_stride,
                 int64_t row_bytes, int64_t rows, StreamHandle) override {
    for (int64_t row = 0; row < rows && row_bytes > 0; ++row) {
      std::memcpy(static_cast<std::byte*>(to) + row * to_stride,
                  static_cast<const std::byte*>(from) + row * from_stride,
                  static_cast<size_t>(row_bytes));
    }
  }
  void synchronize(StreamHandle) override {}
  std::unique_ptr<StreamClock> make_clock(StreamHandle) override {
    return std::make_unique<HostClock>();
  }

 protected:
  void free(std::byte* data, int64_t bytes) noexcept override {
    if (bytes >= kZeroPages) {
      free_pages(data, bytes);
    } else {
      std::free(data);
    }
    account_.give_back(bytes);
  }

 private:
  static constexpr int64_t kZeroPages = int64_t{1} << 20;

  static int threads_of(const DeviceOptions& options) {
    if (options.threads > 0) return options.threads;
    return std::max(1, available_cores() / std::max(1, options.devices));
  }
  static void* allocate_small(int64_t bytes) {
    const size_t rounded = (static_cast<size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
    void* data = std::aligned_alloc(kAlignment, rounded);
    if (data != nullptr) std::memset(data, 0, rounded);
    return data;
  }
  static void* allocate_pages(int64_t bytes);
  static void free_pages(void* data, int64_t bytes) noexcept;

  const std::string name_;
  MemoryAccount account_;
  ThreadPool pool_;
};

void* CpuDevice::allocate_pages(int64_t bytes) {
  void* data = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
  ::madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // a hint: failure changes nothing
#endif
  return data;
}

void CpuDevice::free_pages(void* data, int64_t bytes) noexcept {
  ::munmap(data, static_cast<size_t>(bytes));
}

}  // namespace

std::unique_ptr<Device> make_cpu_device(const DeviceOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

}  // namespace cleave::backend
