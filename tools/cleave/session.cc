#include "session.h"

#include <algorithm>
#include <utility>

#include "base/wait_word.h"
#include "cleave/error.h"
#include "tensor_files.h"

namespace cleave::cli {
namespace {

std::vector<std::string> input_names(const SessionOptions& options) {
  if (!is_engine_file(options.target)) {
    onnx::LoadOptions load;
    if (options.build.profile().empty()) load.shapes = options.build.static_shapes();
    return onnx::load(options.target, load).input_names();
  }
  std::vector<std::string> names;
  for (const TensorInfo& info : Engine::load(options.target).inputs()) names.push_back(info.name);
  return names;
}

Engine load_engine(const SessionOptions& options) {
  const BuildOptions& build = options.build;
  if (!build.min_shapes.empty() || !build.opt_shapes.empty() || !build.max_shapes.empty() ||
      build.fp16 || build.bf16 || build.tf32 || !build.pins.empty() || !build.plan.empty() ||
      !build.machine.empty() || build.random_weights) {
    throw Error(ErrorCode::kUsage, "options of a build are given with an engine that is built",
                "leave them out, or give the ONNX model")
        .at(options.target);
  }
  return Engine::load(options.target);
}

}  // namespace

void SessionOptions::add(CLI::App& app, const char* target_help) {
  app.add_option("TARGET", target, target_help)->required();
  inputs.add(app);
  devices.add(app);
  build.add(app);
  tuning.add(app);
  log.add(app);
}

TensorMap read_inputs(const SessionOptions& options) {
  return options.inputs.read([&] { return input_names(options); });
}

Session open_session(const SessionOptions& options, TimingCache& timings) {
  if (is_engine_file(options.target)) {
    Engine engine = load_engine(options);
    DeviceList devices = options.devices.list(devices_of(engine));
    check_devices(engine, devices);
    TensorMap inputs = make_inputs(engine, read_inputs(options), options.inputs,
                                   options.build.static_shapes(), options.build.seed);
    return {std::move(engine), std::move(devices), std::move(inputs)};
  }
  DeviceList devices = options.devices.list();
  const TensorMap given = read_inputs(options);
  Model model =
      load_model(options.target, options.build, devices, options.log.sink(), shapes_of(given));
  options.tuning.plan_with(timings, model.config);
  Engine engine = build(model.network, model.config);
  timings = TuningOptions::planned(model.config, std::move(timings));
  TensorMap inputs =
      make_inputs(engine, given, options.inputs, options.build.static_shapes(), options.build.seed);
  return {std::move(engine), std::move(devices), std::move(inputs)};
}

RuntimeOptions runtime_options(const SessionOptions& options, TimingCache timings) {
  RuntimeOptions result;
  result.log = options.log.sink();
  result.memory_limit = options.build.memory_limit();
  result.timing_cache = std::move(timings);
  result.tune = options.tuning.tune;
  return result;
}

RuntimeOptions unsplit_runtime_options(const SessionOptions& options, TimingCache timings,
                                       size_t devices) {
  RuntimeOptions result = runtime_options(options, std::move(timings));
  result.memory_limit = 0;
  result.threads_per_device = std::max(1, available_cores() / static_cast<int>(devices));
  return result;
}

}  // namespace cleave::cli
