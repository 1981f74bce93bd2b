#include "runtime/backends.h"

#include <dlfcn.h>

#include <string>

#include "backend/builtin_kernels.h"
#include "base/check.h"
#include "cleave/error.h"

namespace cleave::runtime {
namespace {

// What a backend's library exports: its version, which must be this one's, and its backend.
constexpr const char* kVersionSymbol = "cleave_backend_version";
constexpr const char* kBackendSymbol = "cleave_backend";
using VersionFunction = const char* (*)();
using BackendFunction = std::shared_ptr<const backend::Backend>* (*)();

[[noreturn]] void absent(const std::string& what, const std::string& hint) {
  throw Error(ErrorCode::kDevice, what, hint);
}

bool has_cuda_driver() {
  void* driver = ::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  ::dlclose(driver);
  return true;
}

std::shared_ptr<const backend::Backend> load_cuda() {
  void* library = ::dlopen("libcleave_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    absent(std::string("Cleave's CUDA library cannot be loaded: ") + ::dlerror(),
           "build Cleave with the preset `cuda` and install CUDA, cuDNN and NCCL, or use CPU "
           "devices, for example --devices=cpu:0,cpu:1");
  }
  const auto version = reinterpret_cast<VersionFunction>(::dlsym(library, kVersionSymbol));
  const auto make = reinterpret_cast<BackendFunction>(::dlsym(library, kBackendSymbol));
  if (version == nullptr || make == nullptr || std::string_view(version()) != CLEAVE_VERSION) {
    absent("libcleave_cuda.so is of another version of Cleave",
           "install the one that was built together with this program");
  }
  // The library stays loaded for good: what it made may outlive all who know where it is from.
  const std::unique_ptr<std::shared_ptr<const backend::Backend>> made(make());
  return *made;
}

}  // namespace

std::shared_ptr<const backend::Backend> find_backend(std::string_view name) {
  // Looked for first, so that the reason is given in the user's words.
  if (name == "cuda" && !has_cuda_driver()) {
    absent("there is no NVIDIA driver on this machine (libcuda.so.1 was not found)",
           "install the driver, or use CPU devices, for example --devices=cpu:0,cpu:1");
  }
  return find_backend_without_devices(name);
}

std::shared_ptr<const backend::Backend> find_backend_without_devices(std::string_view name) {
  if (name == "cpu") return backend::make_cpu_backend(backend::builtin_cpu_kernels());
  CLEAVE_CHECK(name == "cuda", "a device list names a backend that there is not");
  return load_cuda();
}

int cuda_device_count() {
  if (!has_cuda_driver()) return 0;
  try {
    return find_backend("cuda")->device_count();
  } catch (const Error&) {
    return 0;  // who asks for CUDA devices by name is told why
  }
}

}  // namespace cleave::runtime
