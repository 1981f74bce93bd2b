// The CPU's backend: virtual devices that share the cores, in a group of threads.
#include <algorithm>

#include "backend/backend.h"
#include "backend/cpu/cpu_device.h"
#include "base/wait_word.h"
#include "comm/local/local_group.h"

namespace cleave::backend {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(KernelRegistry kernels) : kernels_(std::move(kernels)) {}

  std::string_view name() const override { return "cpu"; }
  int device_count() const override { return std::max(1, available_cores()); }
  std::unique_ptr<Device> make_device(const DeviceOptions& options) const override {
    return make_cpu_device(options);
  }
  std::vector<std::unique_ptr<Communicator>> make_group(
      std::span<Device* const> devices, const GroupOptions& options) const override {
    LocalGroupOptions local;
    local.lateness_limit = options.lateness_limit;
    return make_local_group(static_cast<int>(devices.size()), local);
  }
  KernelRegistry kernels() const override { return kernels_; }
  std::vector<Finding> findings() const override { return {}; }

 private:
  KernelRegistry kernels_;
};

}  // namespace

std::shared_ptr<const Backend> make_cpu_backend(KernelRegistry kernels) {
  return std::make_shared<CpuBackend>(std::move(kernels));
}

}  // namespace cleave::backend
