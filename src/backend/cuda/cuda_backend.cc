#include "backend/cuda/cuda_backend.h"

#include <map>
#include <mutex>

#include "backend/builtin_kernels.h"
#include "backend/cuda/cuda_device.h"
#include "backend/cuda/findings.h"
#include "comm/nccl/cuda_check.h"
#include "comm/nccl/nccl_group.h"

namespace cleave::backend {
namespace {

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
  std::vector<Finding> findings() const override { return cuda_findings(); }

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

}  // namespace

std::shared_ptr<const Backend> make_cuda_backend() { return std::make_shared<CudaBackend>(); }

}  // namespace cleave::backend
