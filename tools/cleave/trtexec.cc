// cleave trtexec: builds and times with the flags of TensorRT's trtexec, and reports as it does.
#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>

#include "base/file.h"
#include "cleave/error.h"
#include "command.h"
#include "inputs.h"
#include "model.h"
#include "text.h"
#include "timing.h"
#include "trtexec_report.h"

namespace cleave::cli {
namespace {

struct Options {
  std::string onnx;
  std::string save_engine;
  std::string load_engine;
  int deployments = 0;
  bool no_tf32 = false;
  TimingOptions timing;
  std::string load_inputs;
  std::string export_output;
  std::string export_times;
  std::string export_layer_info;
  bool verbose = false;
  DeviceOptions devices;
  BuildOptions build;

  LogSink log() const { return make_log(verbose ? Verbosity::kVerbose : Verbosity::kNormal); }
};

void check(const Options& options) {
  if (options.onnx.empty() == options.load_engine.empty()) {
    throw Error(ErrorCode::kUsage,
                options.onnx.empty() ? "neither --onnx nor --loadEngine is given"
                                     : "both --onnx and --loadEngine are given",
                "write --onnx=MODEL.onnx to build, or --loadEngine=FILE to load");
  }
}

// --deployments=D: D execution contexts that work as one tensor-parallel group.
DeviceList device_list(const Options& options, std::optional<DeviceList> otherwise) {
  if (options.deployments > 0) {
    // GPUs where there are enough.
    const DeviceList machine = DeviceList::of_machine();
    const bool enough = machine.size() >= static_cast<size_t>(options.deployments);
    otherwise = DeviceList::of(enough ? machine.backend() : "cpu", options.deployments);
  }
  const DeviceList devices = options.devices.list(otherwise);
  if (options.deployments > 0 && static_cast<size_t>(options.deployments) != devices.size()) {
    throw Error(ErrorCode::kUsage,
                fmt::format("--deployments={} does not equal the number of devices, {}: {}",
                            options.deployments, devices.size(), devices.text()),
                fmt::format("write --deployments={}, or leave it out", devices.size()));
  }
  return devices;
}

Engine get_engine(const Options& options, DeviceList& devices) {
  if (!options.load_engine.empty()) {
    Engine engine = Engine::load(options.load_engine);
    devices = device_list(options, devices_of(engine));
    check_devices(engine, devices);
    return engine;
  }
  devices = device_list(options, std::nullopt);
  const Model model = load_model(options.onnx, options.build, devices, options.log());
  Engine engine = build(model.network, model.config);
  if (options.save_engine.empty()) return engine;
  engine.save(options.save_engine);
  return Engine::load(options.save_engine);
}

// The shape that the input is run with.
std::vector<int64_t> shape_of(const TensorInfo& info, const NamedShapes& shapes) {
  if (const auto* shape = find_shape(shapes, info.name)) return *shape;
  std::vector<int64_t> shape;
  for (const DimensionInfo& dim : info.shape) shape.push_back(dim.opt);
  return shape;
}

// --loadInputs=NAME:FILE,...: raw little-endian values.
TensorMap load_inputs(const Engine& engine, const std::string& text, const NamedShapes& shapes) {
  TensorMap inputs;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const TensorInfo* info = nullptr;
    const std::vector<TensorInfo> infos = engine.inputs();
    // Names and paths may both hold colons: the longest input's name that fits.
    for (const TensorInfo& each : infos) {
      if (item.starts_with(each.name + ":") && (!info || each.name.size() > info->name.size())) {
        info = &each;
      }
    }
    if (info == nullptr) {
      throw Error(ErrorCode::kUsage, fmt::format("--loadInputs: '{}' names no input", item),
                  "write --loadInputs=NAME:FILE[,NAME:FILE]");
    }
    const std::string path(item.substr(info->name.size() + 1));
    Tensor tensor(info->dtype, shape_of(*info, shapes));
    const auto file = open_file(path);
    if (file->size() != tensor.bytes()) {
      throw Error(ErrorCode::kInvalid,
                  fmt::format("{} holds {} bytes, {} needs {}", path, file->size(),
                              tensor.type_text(), tensor.bytes()),
                  "give the input's values alone, or its shape with --shapes")
          .at("input '" + info->name + "'");
    }
    file->read(0, {tensor.mutable_data(), tensor.bytes()});
    inputs.set(info->name, std::move(tensor));
  }
  return inputs;
}

void run(const Options& options) {
  check(options);
  const std::string source =
      options.onnx.empty() ? "--loadEngine=" + options.load_engine : "--onnx=" + options.onnx;
  print("&&&& RUNNING Cleave.trtexec # trtexec " + source + "\n");
  flush_output();
  DeviceList devices = DeviceList::cpu(1);
  const Engine engine = get_engine(options, devices);
  const NamedShapes shapes = options.build.static_shapes();
  const TensorMap given = load_inputs(engine, options.load_inputs, shapes);
  InputOptions fills;
  // As that tool: inputs that no file is given for are noise.
  for (const TensorInfo& info : engine.inputs()) {
    if (!given.empty() && !given.contains(info.name)) {
      fills.fills.push_back(info.name +
                            (info.dtype == DType::kFloat32 ? "=uniform:-1:1" : "=ones"));
    }
  }
  const TensorMap values = make_inputs(engine, given, fills, shapes, options.build.seed);

  RuntimeOptions runtime_options;
  runtime_options.log = options.log();
  Runtime runtime(devices, runtime_options);
  ExecutionContext context = runtime.create_context(engine);
  const TensorMap inputs = in_host_memory(runtime, values);
  const Latencies latencies = measure_latencies(context, inputs, options.timing);
  if (!options.export_output.empty()) {
    write_json(options.export_output, outputs_json(context.run(inputs)));
  }
  if (!options.export_times.empty()) write_json(options.export_times, times_json(latencies));
  if (!options.export_layer_info.empty()) {
    write_json(options.export_layer_info, layers_json(engine));
  }
  print(performance_summary(latencies));
  print("&&&& PASSED Cleave.trtexec # trtexec " + source + "\n");
}

}  // namespace

Action add_trtexec(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("--onnx", options->onnx, "the model to build")->type_name("FILE");
  app.add_option("--saveEngine", options->save_engine, "write the engine")->type_name("FILE");
  app.add_option("--loadEngine", options->load_engine, "an engine instead of a model")
      ->type_name("FILE");
  options->devices.add(app);
  app.add_option("--deployments", options->deployments,
                 "how many devices work as one group; without --devices, the first so many")
      ->check(CLI::Range(1, static_cast<int>(DeviceList::kMaxDevices)));
  app.add_flag("--fp16", options->build.fp16, "allow float16");
  app.add_flag("--bf16", options->build.bf16, "allow bfloat16");
  app.add_flag("--noTF32", options->no_tf32, "no TF32: Cleave uses none unless told");
  options->build.add_shapes(app);
  app.add_option("--iterations", options->timing.iterations, "at least so many runs")
      ->check(CLI::Range(int64_t{1}, options->timing.at_most))
      ->capture_default_str();
  app.add_option("--warmUp", options->timing.warm_up_ms, "milliseconds that do not count")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--duration", options->timing.duration_s, "at least so many seconds of runs")
      ->check(CLI::Range(0.0, 1e5))
      ->capture_default_str();
  app.add_option("--loadInputs", options->load_inputs, "raw values of inputs")
      ->type_name("NAME:FILE[,...]");
  app.add_option("--exportOutput", options->export_output, "write outputs")->type_name("FILE.json");
  app.add_option("--exportTimes", options->export_times, "write each run's time")
      ->type_name("FILE.json");
  app.add_option("--exportLayerInfo", options->export_layer_info, "write the instructions")
      ->type_name("FILE.json");
  app.add_flag("--verbose", options->verbose, "say what is done and why");
  return [options] {
    try {
      run(*options);
    } catch (const Error&) {
      print("&&&& FAILED Cleave.trtexec\n");
      throw;
    }
  };
}

}  // namespace cleave::cli
