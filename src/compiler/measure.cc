#include "cleave/measure.h"

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "compiler/device_profiler.h"
#include "cost/measure.h"
#include "runtime/backends.h"

namespace cleave {

std::string measure_machine(const MeasureOptions& options) {
  const auto backend = runtime::find_backend(options.devices.backend());
  std::vector<int> indices;
  for (const DeviceId& device : options.devices) indices.push_back(device.index);
  const int devices = static_cast<int>(indices.size());
  // CPU devices that share cores are measured with one on each core: the planner accounts for
  // sharing. Others share nothing.
  const bool shared = backend->name() == "cpu";
  const int cores = shared ? std::max(1, static_cast<int>(std::thread::hardware_concurrency()))
                           : static_cast<int>(DeviceList::kMaxDevices);
  std::vector<int> at_work = {1};
  if (shared && std::min(devices, cores) > 1) at_work.push_back(std::min(devices, cores));

  const auto progress = [&](const std::string& what) { log(options.log, LogLevel::kInfo, what); };
  const ops::Registry registry = ops::Registry::builtin();
  cost::MeasurePlan plan = shared ? cost::MeasurePlan{} : cost::gpu_measure_plan();
  plan.progress = progress;
  plan.seconds = options.seconds * 0.4;
  cost::MachineModel model;
  model.set_name("measured: " +
                 (shared ? std::to_string(cores) + " cores" : std::to_string(devices) + " GPUs"));
  model.set_backend(std::string(backend->name()));
  model.set_cores(cores);
  for (const int count : at_work) {
    progress("with " + std::to_string(count) + " device(s) at work");
    const auto profiler = compiler::make_device_profiler(
        backend, std::span(indices).first(static_cast<size_t>(count)));
    model.devices().push_back(cost::measure_device(*profiler, registry, plan));
  }
  if (devices > 1) {
    plan.seconds = options.seconds * 0.2;
    const auto profiler = compiler::make_device_profiler(backend, indices);
    model.devices().back().collectives = cost::measure_collectives(*profiler, plan);
  }
  return model.to_json();
}

}  // namespace cleave
