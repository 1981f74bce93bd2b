#include "backend/cuda/cuda_backend.h"

#include <map>
#include <mutex>
#include <utility>

#include "backend/builtin_kernels.h"
#include "backend/cuda/cuda_compiler.h"
#include "backend/cuda/cuda_device.h"
#include "backend/cuda/findings.h"
#include "comm/nccl/cuda_check.h"

namespace cleave::backend {
namespace {

std::vector<int> indices_of(std::span<Device* const> devices) {
  std::vector<int> indices;
  for (Device* device : devices) indices.push_back(static_cast<CudaDevice*>(device)->index());
  return indices;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(CanReach can_reach) : can_reach_(std::move(can_reach)) {}
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
    NcclGroupOptions group = {.devices = indices_of(devices),
                              .lateness_limit = options.lateness_limit};
    group.can_reach = can_reach_;
    group.store = peers_;
    return make_nccl_group(group);
  }
  std::vector<std::string> warnings(std::span<Device* const> devices) const override {
    const std::string peers = peer_warning(indices_of(devices), can_reach_);
    return peers.empty() ? std::vector<std::string>() : std::vector{peers};
  }
  KernelRegistry kernels() const override { return builtin_cuda_kernels(); }
  std::unique_ptr<KernelCompiler> make_compiler(std::string_view architecture) const override {
    return make_cuda_compiler(architecture, kernels());
  }
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

  const CanReach can_reach_;
  const std::shared_ptr<nccl::PeerStore> peers_ = make_peer_store();
  mutable std::mutex mutex_;
  mutable std::map<int, std::shared_ptr<Modules>> modules_;  // by compute capability
};

}  // namespace

std::shared_ptr<const Backend> make_cuda_backend(CanReach can_reach) {
  return std::make_shared<CudaBackend>(std::move(can_reach));
}

}  // namespace cleave::backend
