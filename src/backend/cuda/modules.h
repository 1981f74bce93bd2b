// Modules: device code that is compiled when it is first needed.
//
// A source is CUDA C++ made for one kind of work: it names types and modes, never shapes. What has
// been compiled is kept in memory and, by content, in a folder on disk, where a machine without a
// GPU can put it as well.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace cleave::backend {

// Device code for one architecture. `source` is put behind the common part (device/prelude.cuh);
// its kernels wait for what is on the stream before them (overlap.h).
// Error(kInternal) with the compiler's words where it does not compile.
std::vector<char> compile_for_gpu(const std::string& source, int compute_capability);

// What code can be compiled for: 80, 90, ...
std::vector<int> compiled_architectures();

// The folder of $CLEAVE_CACHE_DIR, else cleave/ in the user's cache folder; empty where there is
// none.
std::filesystem::path module_cache_folder();

// Of GPUs of one compute capability. Functions may be called by several threads at once: who wants
// a source that another thread compiles waits for it, other sources are compiled meanwhile.
class Modules {
 public:
  // kKeep: code is compiled and kept in the folder, and not loaded: `get` gives null.
  enum class Use { kRun, kKeep };
  // `folder`: where compiled code is kept; empty keeps it in memory alone.
  Modules(int compute_capability, std::filesystem::path folder, Use use = Use::kRun);
  ~Modules();
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  // The function `name` (extern "C" __global__) of the source; it lives as long as this.
  // Error(kInvalid) where code is to be kept and cannot be.
  cudaKernel_t get(const std::string& source, const char* name);

  struct Counts {
    int64_t compiled = 0;
    int64_t found = 0;  // in the folder
  };
  Counts counts() const { return {compiled_.load(), found_.load()}; }

 private:
  struct Library {
    std::once_flag once;
    cudaLibrary_t loaded = nullptr;
  };
  cudaLibrary_t library(const std::string& source);
  cudaLibrary_t load(const std::string& source);
  std::vector<char> code(const std::string& source);

  const int compute_capability_;
  const std::filesystem::path folder_;
  const Use use_;
  std::atomic<int64_t> compiled_{0};
  std::atomic<int64_t> found_{0};
  std::mutex mutex_;
  std::map<std::string, Library, std::less<>> libraries_;  // by source; they stay where they are
};

}  // namespace cleave::backend
