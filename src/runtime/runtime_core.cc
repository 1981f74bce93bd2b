#include "runtime/runtime_core.h"

#include <new>

#include "backend/host_memory.h"
#include "base/log.h"
#include "runtime/timing_cache_impl.h"
#include "runtime/tune.h"

namespace cleave::runtime {
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
                         std::shared_ptr<const backend::Backend> backend,
                         backend::KernelRegistry kernels)
    : list_(std::move(devices)),
      options_(std::move(options)),
      backend_(std::move(backend)),
      kernels_(std::move(kernels)),
      devices_(make_devices()),
      workspaces_(devices_.size()),
      kind_(*devices_.front()),
      timings_(options_.timing_cache.impl()),
      threads_(static_cast<int>(devices_.size()), options_.pin_threads) {
  for (const std::string& warning : backend_->warnings(device_pointers())) {
    log(options_.log, LogLevel::kWarning, warning);
  }
}

std::unique_ptr<backend::Device> RuntimeCore::make_device(size_t rank, int64_t memory_limit) const {
  return backend_->make_device({.index = list_[rank].index,
                                .devices = static_cast<int>(list_.size()),
                                .threads = options_.threads_per_device,
                                .memory_limit = memory_limit});
}

std::vector<std::unique_ptr<backend::Device>> RuntimeCore::make_devices() const {
  std::vector<std::unique_ptr<backend::Device>> devices;
  for (size_t rank = 0; rank < list_.size(); ++rank) {
    devices.push_back(make_device(rank, options_.memory_limit));
  }
  return devices;
}

Tensor RuntimeCore::host_tensor(DType dtype, std::vector<int64_t> shape) {
  const auto memory = device(0).host_memory();
  if (!memory) return Tensor::uninitialized(dtype, std::move(shape));
  return Tensor::uninitialized(dtype, std::move(shape),
                               [&](size_t bytes) { return memory->take(bytes); });
}

void RuntimeCore::keep(std::vector<Tensor> results) {
  const std::lock_guard lock(mutex_);
  for (Tensor& result : results) kept_.push_back(std::move(result));
}

void RuntimeCore::settled() {
  const std::lock_guard lock(mutex_);
  kept_.clear();
}

std::byte* RuntimeCore::workspace(int rank, int64_t bytes) {
  return workspaces_[static_cast<size_t>(rank)].at_least(device(rank), bytes,
                                                         "the kernels' workspace");
}

std::shared_ptr<const TimingCacheImpl> RuntimeCore::timings() const {
  const std::lock_guard lock(mutex_);
  return timings_;
}

void RuntimeCore::tune(const program::EngineData& data, const program::Program& program,
                       const SymbolValues& symbols) {
  const std::lock_guard tuning(tuning_);
  auto timings = std::make_shared<TimingCacheImpl>(*RuntimeCore::timings());
  // On a device of its own: what is allocated for it counts for no limit and no peak.
  const auto scratch = make_device(0, 0);
  run_on_all([&](int rank) {
    if (rank != 0) return;
    tune_program(data, program, symbols, kernels_, *scratch, timings->table, options_.log);
  });
  const std::lock_guard lock(mutex_);
  timings_ = std::move(timings);
}

void RuntimeCore::run_on_all(const std::function<void(int)>& body) {
  const auto thrown = threads_.run([&](int rank) {
    device(rank).make_current();
    body(rank);
  });
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

std::vector<backend::Device*> RuntimeCore::device_pointers() const {
  std::vector<backend::Device*> devices;
  for (const auto& device : devices_) devices.push_back(device.get());
  return devices;
}

std::shared_ptr<RuntimeCore::Group> RuntimeCore::make_group() {
  auto group = std::make_shared<Group>(
      backend_->make_group(device_pointers(), {.lateness_limit = options_.lateness_limit}));
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
