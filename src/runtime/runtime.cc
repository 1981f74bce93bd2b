#include "cleave/runtime.h"

#include "backend/memory_account.h"
#include "cleave/error.h"
#include "program/weight_layout.h"
#include "runtime/backends.h"
#include "runtime/context_impl.h"
#include "runtime/runtime_impl.h"

namespace cleave {

namespace {

void require_devices(const Engine& engine, const runtime::RuntimeCore& core) {
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
}

// Weights and activations must be there at once, or where weights are streamed those of one
// instruction, activations and workspace: says so before anything is loaded.
void require_memory(const Engine& engine, const runtime::RuntimeCore& core) {
  const int64_t limit = core.options().memory_limit;
  const bool streamed = core.options().stream_weights;
  const int64_t activations = engine.activation_bytes() + (streamed ? engine.workspace_bytes() : 0);
  const std::vector<int64_t> weights =
      streamed ? program::instruction_weight_bytes_by_rank(engine.impl()->data)
               : engine.weights_bytes();
  for (size_t rank = 0; rank < weights.size() && limit > 0; ++rank) {
    if (weights[rank] + activations <= limit) continue;
    throw Error(ErrorCode::kOutOfMemory,
                "the engine needs at least " + backend::mebibytes(weights[rank] + activations) +
                    " (weights " + backend::mebibytes(weights[rank]) + ", activations " +
                    backend::mebibytes(activations) + "), the limit is " +
                    backend::mebibytes(limit),
                "build it for more devices, or raise --memory")
        .at(core.devices()[rank].text());
  }
}

}  // namespace

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
  auto backend = runtime::find_backend(devices.backend());
  return make_runtime(std::move(devices), std::move(options), std::move(backend),
                      std::move(kernels));
}

Runtime make_runtime(DeviceList devices, RuntimeOptions options,
                     std::shared_ptr<const backend::Backend> backend,
                     backend::KernelRegistry kernels) {
  auto impl = std::make_shared<Runtime::Impl>();
  impl->core = std::make_shared<runtime::RuntimeCore>(std::move(devices), std::move(options),
                                                      std::move(backend), std::move(kernels));
  return Runtime(std::move(impl));
}

Runtime::Runtime(DeviceList devices, RuntimeOptions options)
    : Runtime([&] {
        auto backend = runtime::find_backend(devices.backend());
        auto kernels = backend->kernels();
        return make_runtime(std::move(devices), std::move(options), std::move(backend),
                            std::move(kernels));
      }()) {}
Runtime::Runtime(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::Runtime(Runtime&&) noexcept = default;
Runtime& Runtime::operator=(Runtime&&) noexcept = default;
Runtime::~Runtime() = default;

const DeviceList& Runtime::devices() const { return impl_->core->devices(); }

ExecutionContext Runtime::create_context(const Engine& engine) {
  const runtime::RuntimeCore& core = *impl_->core;
  require_devices(engine, core);
  require_memory(engine, core);
  core.require_working();
  return ExecutionContext(
      std::make_unique<ExecutionContext::Impl>(impl_->core, impl_->load(engine), engine));
}

Tensor Runtime::host_tensor(DType dtype, std::vector<int64_t> shape) const {
  return impl_->core->host_tensor(dtype, std::move(shape));
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

TimingCache Runtime::timing_cache() const { return TimingCache(impl_->core->timings()); }

void Runtime::recover() { impl_->core->recover(); }

TimingCache tune(const Engine& engine, const DeviceList& devices, const RuntimeOptions& options) {
  const auto backend = runtime::find_backend(devices.backend());
  runtime::RuntimeCore core(devices, options, backend, backend->kernels());
  require_devices(engine, core);
  const program::EngineData& data = engine.impl()->data;
  for (const program::Program& program : data.programs) {
    core.tune(data, program, values_of(program.symbols, &program::Symbol::opt));
  }
  return TimingCache(core.timings());
}

}  // namespace cleave
