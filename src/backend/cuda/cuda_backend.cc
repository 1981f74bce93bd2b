#include "backend/cuda/cuda_backend.h"

#include <cublasLt.h>
#include <nccl.h>
#include <nvrtc.h>

#include <map>
#include <mutex>

#include "backend/builtin_kernels.h"
#include "backend/cuda/cuda_device.h"
#include "comm/nccl/cuda_check.h"
#include "comm/nccl/nccl_group.h"

namespace cleave::backend {
namespace {

std::string version_text(int version, int thousands) {
  return std::to_string(version / thousands) + "." + std::to_string(version % thousands / 10);
}

class CudaBackend final : public Backend {
 public:
  std::string_view name() const override { return "cuda"; }
  int device_count() const override {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
    cudaGetLastError();  // a machine without GPUs is none that fails
    return 0;
  }
  std::unique_ptr<Device> make_device(const DeviceOptions& options) const override {
    return make_cuda_device(options, modules_for(options.index));
  }
  std::vector<std::unique_ptr<Communicator>> make_group(
      std::span<Device* const> devices, const GroupOptions& options) const override {
    NcclGroupOptions group = {.devices = {}, .lateness_limit = options.lateness_limit};
    for (Device* device : devices) {
      group.devices.push_back(static_cast<CudaDevice*>(device)->index());
    }
    return make_nccl_group(group);
  }
  KernelRegistry kernels() const override { return builtin_cuda_kernels(); }
  std::vector<Finding> findings() const override;

 private:
  // Devices of one kind share compiled code.
  std::shared_ptr<Modules> modules_for(int index) const {
    int major = 0;
    int minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
    cudaGetLastError();  // making the device says what is wrong
    const std::lock_guard lock(mutex_);
    auto& modules = modules_[major * 10 + minor];
    if (!modules) modules = std::make_shared<Modules>(major * 10 + minor, module_cache_folder());
    return modules;
  }

  mutable std::mutex mutex_;
  mutable std::map<int, std::shared_ptr<Modules>> modules_;  // by compute capability
};

std::vector<Finding> CudaBackend::findings() const {
  std::vector<Finding> found;
  int driver = 0;
  int runtime = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess) {
    found.emplace_back("driver", "CUDA " + version_text(driver, 1000));
  }
  if (cudaRuntimeGetVersion(&runtime) == cudaSuccess) {
    found.emplace_back("CUDA", version_text(runtime, 1000));
  }
  const auto cublas = static_cast<int>(cublasLtGetVersion());
  found.emplace_back("cuBLASLt", std::to_string(cublas / 10000) + "." +
                                     std::to_string(cublas / 100 % 100) + "." +
                                     std::to_string(cublas % 100));
  int nccl = 0;
  if (ncclGetVersion(&nccl) == ncclSuccess) {
    found.emplace_back("NCCL", std::to_string(nccl / 10000) + "." +
                                   std::to_string(nccl / 100 % 100) + "." +
                                   std::to_string(nccl % 100));
  }
  const int count = device_count();
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties = {};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    std::string text = std::string(properties.name) + ", " +
                       std::to_string(properties.totalGlobalMem >> 20) + " MiB, " +
                       std::to_string(properties.multiProcessorCount) +
                       " multiprocessors, compute capability " + std::to_string(properties.major) +
                       "." + std::to_string(properties.minor);
    std::string peers;
    for (int other = 0; other < count; ++other) {
      int reachable = 0;
      if (other == i) continue;
      if (cudaDeviceCanAccessPeer(&reachable, i, other) == cudaSuccess && reachable != 0) {
        peers += (peers.empty() ? "" : ",") + std::to_string(other);
      }
    }
    if (count > 1) text += peers.empty() ? ", reaches no peer" : ", reaches cuda:" + peers;
    found.emplace_back("cuda:" + std::to_string(i), text);
  }
  return found;
}

}  // namespace

std::shared_ptr<const Backend> make_cuda_backend() { return std::make_shared<CudaBackend>(); }

}  // namespace cleave::backend
