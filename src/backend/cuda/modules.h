// Modules: device code that is compiled when it is first needed.
//
// A source is CUDA C++ made for one kind of work: it names types and modes, never shapes. What has
// been compiled is kept in memory and, by content, in a folder on disk, where a machine without a
// GPU can put it as well.
#pragma once

#include <cuda_runtime_api.h>

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

// The folder of $CLEAVE_CACHE_DIR, else cleave/ in the user's cache folder; empty where there is
// none.
std::filesystem::path module_cache_folder();

// Of GPUs of one compute capability. Functions may be called by several threads at once: who wants
// a source that another thread compiles waits for it, other sources are compiled meanwhile.
class Modules {
 public:
  // `folder`: where compiled code is kept; empty keeps it in memory alone.
  Modules(int compute_capability, std::filesystem::path folder);
  ~Modules();
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  // The function `name` (extern "C" __global__) of the source; it lives as long as this.
  cudaKernel_t get(const std::string& source, const char* name);

 private:
  struct Library {
    std::once_flag once;
    cudaLibrary_t loaded = nullptr;
  };
  cudaLibrary_t library(const std::string& source);
  cudaLibrary_t load(const std::string& source) const;
  std::vector<char> code(const std::string& source) const;

  const int compute_capability_;
  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::map<std::string, Library, std::less<>> libraries_;  // by source; they stay where they are
};

}  // namespace cleave::backend
