#include "backend/cuda/cuda_compiler.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "backend/cuda/cuda_clock.h"
#include "backend/cuda/cuda_device.h"
#include "base/thread_pool.h"
#include "cleave/error.h"

namespace cleave::backend {
namespace {

[[noreturn]] void not_there() {
  throw Error(ErrorCode::kUnsupported, "this takes a GPU, not only device code for one");
}

// Kernels that are prepared for it get no further than their device code.
class AbsentGpu final : public CudaDevice {
 public:
  AbsentGpu(std::string name, int compute_capability)
      : name_(std::move(name)),
        modules_(compute_capability, module_cache_folder(), Modules::Use::kKeep) {}

  bool is_there() const override { return false; }
  std::string name() const override { return name_; }
  std::string_view backend() const override { return "cuda"; }
  std::string kind() const override { return name_; }
  int threads() const override { return pool_.threads(); }
  ThreadPool& pool() override { return pool_; }
  bool memory_is_host() const override { return false; }
  int64_t cold_bytes() const override { return 0; }
  int index() const override { return 0; }
  int multiprocessors() const override { return 132; }  // grids of an H100, which nobody launches
  Modules& modules() override { return modules_; }
  const Modules& modules() const { return modules_; }
  void* library(std::string_view, const std::function<std::shared_ptr<void>()>&) override {
    not_there();
  }

  Buffer allocate(int64_t, std::string_view) override { not_there(); }
  MemoryUse memory() const override { return {}; }
  void set_memory_limit(int64_t) override {}
  void reset_peak() override {}
  StreamHandle default_stream() override { return {}; }
  void copy_to_device(void*, const void*, int64_t, StreamHandle) override { not_there(); }
  void copy_to_host(void*, const void*, int64_t, StreamHandle) override { not_there(); }
  void copy(void*, const void*, int64_t, StreamHandle) override { not_there(); }
  void copy_rows(void*, int64_t, const void*, int64_t, int64_t, int64_t, StreamHandle) override {
    not_there();
  }
  void synchronize(StreamHandle) override {}
  std::unique_ptr<StreamClock> make_clock(StreamHandle) override { not_there(); }

 protected:
  void free(std::byte*, int64_t) noexcept override {}

 private:
  const std::string name_;
  Modules modules_;
  ThreadPool pool_{1};
};

class CudaCompiler final : public KernelCompiler {
 public:
  CudaCompiler(std::string name, int compute_capability, KernelRegistry kernels)
      : gpu_(std::move(name), compute_capability), kernels_(std::move(kernels)) {}

  void compile(const KernelProblem& problem) override {
    compile_clock(gpu_.modules());  // of benchmarks and traces
    const KernelRegistry::Choice choice = kernels_.choose(problem);
    if (choice.kernel == nullptr) return;  // which loading the engine tells
    KernelCache cache(gpu_);
    try {
      choice.kernel->prepare(problem, cache);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
    }
  }

  Done done() const override {
    const Modules::Counts counts = gpu_.modules().counts();
    return {counts.compiled, counts.found, module_cache_folder().string()};
  }

 private:
  AbsentGpu gpu_;
  const KernelRegistry kernels_;
};

std::string text_of(const std::vector<int>& architectures) {
  std::string text;
  for (const int one : architectures) {
    if (one < kLeastComputeCapability) continue;
    text += (text.empty() ? "sm_" : ", sm_") + std::to_string(one);
  }
  return text;
}

int compute_capability_of(std::string_view architecture) {
  constexpr std::string_view kPrefix = "sm_";
  int number = 0;
  const char* const end = architecture.data() + architecture.size();
  bool known = architecture.starts_with(kPrefix);
  if (known) {
    const auto [at, error] = std::from_chars(architecture.data() + kPrefix.size(), end, number);
    known = error == std::errc() && at == end && number >= kLeastComputeCapability;
  }
  const std::vector<int> all = compiled_architectures();
  if (known && std::find(all.begin(), all.end(), number) != all.end()) return number;
  throw Error(ErrorCode::kUsage,
              "'" + std::string(architecture) + "' is no GPU architecture that is compiled for",
              "there are: " + text_of(all));
}

}  // namespace

std::unique_ptr<KernelCompiler> make_cuda_compiler(std::string_view architecture,
                                                   KernelRegistry kernels) {
  const int compute_capability = compute_capability_of(architecture);
  if (module_cache_folder().empty()) {
    throw Error(ErrorCode::kInvalid, "there is no folder to keep device code in",
                "set CLEAVE_CACHE_DIR");
  }
  return std::make_unique<CudaCompiler>(std::string(architecture), compute_capability,
                                        std::move(kernels));
}

}  // namespace cleave::backend
