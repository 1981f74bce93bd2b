// Backend: a kind of devices, with its kernels and communicators. The runtime knows no more of it.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/device.h"
#include "backend/kernel.h"
#include "backend/kernel_compiler.h"
#include "cleave/error.h"

namespace cleave::backend {

struct GroupOptions {
  std::chrono::milliseconds lateness_limit{0};  // see Communicator::set_lateness_limit
};

// What a library or device is and where it comes from, for people: {"cuBLASLt", "13.1"}.
using Finding = std::pair<std::string, std::string>;

// Functions may be called by several threads at once.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "cpu"
  // How many devices there are; virtual ones as many as there are cores, though more may be made.
  virtual int device_count() const = 0;
  // Error(kDevice) where it is not there or does not work.
  virtual std::unique_ptr<Device> make_device(const DeviceOptions& options) const = 0;
  // The ends of a new group by rank; the devices, one a rank, must outlive it. Each end is then
  // used by the thread that runs its rank. Error(kDevice) where they cannot reach each other.
  virtual std::vector<std::unique_ptr<Communicator>> make_group(
      std::span<Device* const> devices, const GroupOptions& options) const = 0;
  virtual KernelRegistry kernels() const = 0;
  // Of device code for devices that `architecture` names, and that need not be there. Error(kUsage)
  // where there is none such.
  virtual std::unique_ptr<KernelCompiler> make_compiler(std::string_view architecture) const {
    throw Error(ErrorCode::kUsage,
                "kernels of '" + std::string(name()) + "' devices are not compiled for " +
                    std::string(architecture) + ": they come with Cleave",
                "that is for GPUs, for example --devices=0,1");
  }
  // What makes a group of these devices slower than it need be, for people, a line each.
  virtual std::vector<std::string> warnings(std::span<Device* const> devices) const {
    static_cast<void>(devices);
    return {};
  }
  // The libraries it uses and the devices it sees, with what limits them.
  virtual std::vector<Finding> findings() const = 0;
};

std::shared_ptr<const Backend> make_cpu_backend(KernelRegistry kernels);

}  // namespace cleave::backend
