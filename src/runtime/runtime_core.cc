#include "runtime/runtime_core.h"

#include <new>

#include "backend/cpu/cpu_device.h"
#include "base/check.h"
#include "comm/local/local_group.h"

namespace cleave::runtime {
namespace {

std::vector<std::unique_ptr<backend::Device>> make_devices(const DeviceList& list,
                                                           const RuntimeOptions& options) {
  std::vector<std::unique_ptr<backend::Device>> devices;
  for (const DeviceId& id : list) {
    CLEAVE_CHECK(id.backend == "cpu", "a device list names a backend that this build has not");
    backend::CpuDeviceOptions cpu;
    cpu.index = id.index;
    cpu.devices = static_cast<int>(list.size());
    cpu.threads = options.threads_per_device;
    cpu.memory_limit = options.memory_limit;
    devices.push_back(backend::make_cpu_device(cpu));
  }
  return devices;
}

}  // namespace

std::byte* GrowingBuffer::at_least(backend::Device& device, int64_t bytes, std::string_view what) {
  if (buffer_.bytes() < bytes) {
    buffer_ = {};  // first, so that both need not fit
    buffer_ = device.allocate(bytes, what);
  }
  return buffer_.data();
}

Error error_of(const std::exception_ptr& thrown, const backend::Device& device) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return Error(error).at(device.name());
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kOutOfMemory, "the host is out of memory",
                 "close other programs or use a smaller profile")
        .at(device.name());
  } catch (const std::exception& error) {
    return Error(ErrorCode::kInternal, std::string("an unexpected exception: ") + error.what(),
                 "this is a bug in Cleave; please report it with the model")
        .at(device.name());
  } catch (...) {
    return Error(ErrorCode::kInternal, "an unexpected exception",
                 "this is a bug in Cleave; please report it with the model")
        .at(device.name());
  }
}

RuntimeCore::RuntimeCore(DeviceList devices, RuntimeOptions options,
                         backend::KernelRegistry kernels)
    : list_(std::move(devices)),
      options_(std::move(options)),
      kernels_(std::move(kernels)),
      devices_(make_devices(list_, options_)),
      workspaces_(devices_.size()),
      threads_(static_cast<int>(devices_.size()), options_.pin_threads) {}

std::byte* RuntimeCore::workspace(int rank, int64_t bytes) {
  return workspaces_[static_cast<size_t>(rank)].at_least(device(rank), bytes,
                                                         "the kernels' workspace");
}

void RuntimeCore::run_on_all(const std::function<void(int)>& body) {
  const auto thrown = threads_.run(body);
  for (size_t rank = 0; rank < thrown.size(); ++rank) {
    if (thrown[rank]) throw error_of(thrown[rank], *devices_[rank]);
  }
}

void RuntimeCore::require_working() const {
  const std::lock_guard lock(mutex_);
  if (!failed_) return;
  std::string where;
  for (const std::string& place : failed_->places()) where += (where.empty() ? "" : ", ") + place;
  throw Error(ErrorCode::kDevice,
              "the group of devices has failed before: " + failed_->message() +
                  (where.empty() ? "" : " (" + where + ")"),
              "call Runtime::recover() or make a new runtime");
}

void RuntimeCore::set_failed(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!failed_) failed_ = error;
}

void RuntimeCore::clear_failed() {
  const std::lock_guard lock(mutex_);
  failed_.reset();
}

std::shared_ptr<RuntimeCore::Group> RuntimeCore::make_group() {
  LocalGroupOptions options;
  options.lateness_limit = options_.lateness_limit;
  auto group = std::make_shared<Group>(make_local_group(ranks(), options));
  const std::lock_guard lock(mutex_);
  std::erase_if(groups_, [](const std::weak_ptr<Group>& old) { return old.expired(); });
  groups_.push_back(group);
  return group;
}

void RuntimeCore::recover() {
  std::vector<std::shared_ptr<Group>> groups;
  {
    const std::lock_guard lock(mutex_);
    for (const std::weak_ptr<Group>& group : groups_) {
      if (auto alive = group.lock()) groups.push_back(std::move(alive));
    }
  }
  // On the ranks' threads: then it comes after every run that was started before.
  run_on_all([&](int rank) {
    for (const auto& group : groups) (*group)[static_cast<size_t>(rank)]->recover();
  });
  clear_failed();
}

}  // namespace cleave::runtime
