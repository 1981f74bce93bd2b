#include "cleave/measure.h"

#include <algorithm>
#include <thread>

#include "backend/builtin_kernels.h"
#include "base/log.h"
#include "cleave/error.h"
#include "compiler/cpu_profiler.h"
#include "cost/measure.h"

namespace cleave {

std::string measure_machine(const MeasureOptions& options) {
  for (const DeviceId& device : options.devices) {
    if (device.backend == "cpu") continue;
    throw Error(ErrorCode::kUnsupported, "this build measures CPU devices only",
                "give a device list such as cpu:0,cpu:1");
  }
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int devices = static_cast<int>(options.devices.size());
  // Devices that share cores are measured with one on each core: the planner accounts for sharing.
  std::vector<int> at_work = {1};
  if (std::min(devices, cores) > 1) at_work.push_back(std::min(devices, cores));

  const auto progress = [&](const std::string& what) { log(options.log, LogLevel::kInfo, what); };
  const ops::Registry registry = ops::Registry::builtin();
  cost::MeasurePlan plan;
  plan.progress = progress;
  plan.seconds = options.seconds * 0.4;
  cost::MachineModel model;
  model.set_name("measured: " + std::to_string(cores) + " cores");
  model.set_cores(cores);
  for (const int count : at_work) {
    progress(std::to_string(count) + " device(s) at work");
    const auto profiler = compiler::make_cpu_profiler(count, backend::builtin_cpu_kernels());
    model.devices().push_back(cost::measure_device(*profiler, registry, plan));
  }
  if (devices > 1) {
    plan.seconds = options.seconds * 0.2;
    const auto profiler = compiler::make_cpu_profiler(devices, backend::builtin_cpu_kernels());
    model.devices().back().collectives = cost::measure_collectives(*profiler, plan);
  }
  return model.to_json();
}

}  // namespace cleave
