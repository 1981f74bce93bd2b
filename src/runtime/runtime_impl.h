// What Runtime is, and how the library's own code makes one.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "backend/kernel.h"
#include "cleave/runtime.h"
#include "runtime/loaded_engine.h"
#include "runtime/runtime_core.h"

namespace cleave {

struct Runtime::Impl {
  std::shared_ptr<runtime::RuntimeCore> core;
  // Engines that some context uses.
  std::mutex mutex;
  std::map<const EngineImpl*, std::weak_ptr<runtime::LoadedEngine>> engines;

  std::shared_ptr<runtime::LoadedEngine> load(const Engine& engine);
};

// With other kernels than the built-in ones, or another backend: plug-ins and tests.
Runtime make_runtime(DeviceList devices, RuntimeOptions options, backend::KernelRegistry kernels);
Runtime make_runtime(DeviceList devices, RuntimeOptions options,
                     std::shared_ptr<const backend::Backend> backend,
                     backend::KernelRegistry kernels);

}  // namespace cleave
