// cleave build: plans, compiles and writes the engine.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <numeric>
#include <utility>

#include "cleave/error.h"
#include "cleave/runtime.h"
#include "command.h"
#include "model.h"
#include "progress.h"
#include "text.h"

namespace cleave::cli {
namespace {

struct Options {
  std::string model;
  std::string output;
  DeviceOptions devices;
  BuildOptions build;
  TuningOptions tuning;
  std::vector<std::string> architectures;  // to compile kernels for
  LogOptions log;
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The engine holds no choice of kernels: what is learnt is for the runs that read the file.
void tune_engine(const Options& options, const Engine& engine, const DeviceList& devices,
                 TimingCache timings) {
  options.log.progress("tuning kernels");
  RuntimeOptions with;
  with.log = options.log.sink();
  with.timing_cache = std::move(timings);
  timings = tune(engine, devices, with);
  options.tuning.write(timings);
  print(fmt::format("{}: {} timing(s) of kernels\n", options.tuning.file, timings.size()));
}

void compile_for(const std::string& architecture, const Options& options, const Engine& engine) {
  options.log.progress("compiling kernels for " + architecture);
  const CompiledKernels done = compile_kernels(engine, architecture);
  print(fmt::format("kernels for {}: {} compiled, {} found in {}\n", architecture, done.compiled,
                    done.found, done.folder));
}

void run(const Options& options) {
  const auto start = Clock::now();
  if (options.tuning.tune && options.tuning.file.empty()) {
    throw Error(
        ErrorCode::kUsage, "--tune has nowhere to write: an engine holds no timings",
        "give --timingCacheFile FILE here and to the runs of the engine, or --tune to them");
  }
  TimingCache timings = options.tuning.read(options.log.sink());
  const DeviceList devices = options.devices.list({}, options.build.machine_backend());
  for (const std::string& architecture : options.architectures) {
    require_architecture(devices, architecture);
  }
  options.log.progress(fmt::format("reading {}", options.model));
  Model model = load_model(options.model, options.build, devices, options.log.sink());
  options.tuning.plan_with(timings, model.config);
  options.log.progress(fmt::format("planning for {} device(s)", devices.size()));
  const Engine engine = build(model.network, model.config);
  {
    ProgressBar bar(fmt::format("writing {}", options.output), options.log.quiet);
    engine.save(options.output, [&](uint64_t done, uint64_t total) { bar.update(done, total); });
  }

  print(fmt::format("{}: {} device(s), predicted {} a run, {} on one of them\n", options.output,
                    engine.devices(), time_text(engine.predicted_us()),
                    time_text(engine.unsplit_us())));
  std::string weights;
  for (const int64_t bytes : engine.weights_bytes()) {
    weights += (weights.empty() ? "" : ", ") + bytes_text(static_cast<double>(bytes));
  }
  print(fmt::format("weights a device: {}; activations {}, workspace {}; built in {:.2f} s\n",
                    weights, bytes_text(static_cast<double>(engine.activation_bytes())),
                    bytes_text(static_cast<double>(engine.workspace_bytes())),
                    seconds_since(start)));
  for (const std::string& architecture : options.architectures) {
    compile_for(architecture, options, engine);
  }
  if (options.tuning.tune) {
    timings = TuningOptions::planned(model.config, std::move(timings));
    tune_engine(options, engine, devices, std::move(timings));
  }
}

}  // namespace

Action add_build(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "the ONNX model")->required();
  app.add_option("-o,--output", options->output, "the engine to write")
      ->type_name("FILE.cleave")
      ->required();
  options->devices.add(app);
  options->build.add(app);
  options->tuning.add(app);
  add_repeatable(app, "--compileKernels", options->architectures,
                 "compile device code for GPUs that need not be here, e.g. sm_90,sm_80")
      ->type_name("ARCHITECTURES")
      ->delimiter(',');
  options->log.add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
