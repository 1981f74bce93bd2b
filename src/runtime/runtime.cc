#include "cleave/runtime.h"

#include "cleave/error.h"
#include "runtime/context_impl.h"
#include "runtime/runtime_impl.h"

namespace cleave {

std::shared_ptr<runtime::LoadedEngine> Runtime::Impl::load(const Engine& engine) {
  const std::lock_guard lock(mutex);
  std::erase_if(engines, [](const auto& entry) { return entry.second.expired(); });
  auto& known = engines[engine.impl().get()];
  auto loaded = known.lock();
  if (!loaded) {
    loaded = std::make_shared<runtime::LoadedEngine>(core, engine.impl());
    known = loaded;
  }
  return loaded;
}

Runtime make_runtime(DeviceList devices, RuntimeOptions options, backend::KernelRegistry kernels) {
  auto impl = std::make_shared<Runtime::Impl>();
  impl->core = std::make_shared<runtime::RuntimeCore>(std::move(devices), std::move(options),
                                                      std::move(kernels));
  return Runtime(std::move(impl));
}

Runtime::Runtime(DeviceList devices, RuntimeOptions options)
    : Runtime(make_runtime(std::move(devices), std::move(options),
                           backend::KernelRegistry::builtin_cpu())) {}
Runtime::Runtime(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

const DeviceList& Runtime::devices() const { return impl_->core->devices(); }

ExecutionContext Runtime::create_context(const Engine& engine) {
  const runtime::RuntimeCore& core = *impl_->core;
  if (engine.backend() != core.devices().backend()) {
    throw Error(ErrorCode::kInvalid,
                "the engine was built for '" + engine.backend() + "', the devices are '" +
                    core.devices().backend() + "'",
                "build the engine again for these devices");
  }
  if (engine.devices() != core.ranks()) {
    throw Error(ErrorCode::kInvalid,
                "the engine was built for " + std::to_string(engine.devices()) + " devices, " +
                    std::to_string(core.ranks()) + " were given",
                "give as many devices as it was built for, or build it again");
  }
  core.require_working();
  return ExecutionContext(
      std::make_unique<ExecutionContext::Impl>(impl_->core, impl_->load(engine), engine));
}

std::vector<DeviceMemory> Runtime::memory() const {
  std::vector<DeviceMemory> result;
  for (int rank = 0; rank < impl_->core->ranks(); ++rank) {
    const backend::MemoryUse use = impl_->core->device(rank).memory();
    result.push_back({use.now, use.peak, use.limit});
  }
  return result;
}

void Runtime::reset_peak_memory() {
  for (int rank = 0; rank < impl_->core->ranks(); ++rank) impl_->core->device(rank).reset_peak();
}

void Runtime::recover() { impl_->core->recover(); }

}  // namespace cleave
