// cleave measure: the machine model.
#include "cleave/measure.h"

#include <memory>

#include "command.h"
#include "cost/machine_model.h"
#include "options.h"

namespace cleave::cli {
namespace {

struct Options {
  std::string output;
  bool builtin = false;
  double seconds = 30;
  DeviceOptions devices;
  LogOptions log;
};

std::string model_of(const Options& options) {
  const DeviceList devices = options.devices.list();
  if (options.builtin) {
    const bool gpus = devices.backend() == "cuda";
    return (gpus ? cost::MachineModel::builtin_gpu() : cost::MachineModel::builtin()).to_json();
  }
  // It takes a while: what is measured is said as it goes.
  const LogSink log = [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::kInfo) return options.log.progress("measuring " + std::string(line));
    options.log.sink()(level, line);
  };
  return measure_machine({devices, options.seconds, log});
}

void run(const Options& options) {
  const std::string json = model_of(options);
  if (options.output == "-") return print(json);
  write_text(options.output, json);
  print("wrote " + options.output + "\n");
}

}  // namespace

Action add_measure(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("-o,--output", options->output, "where the model goes; - prints it")
      ->type_name("MACHINE.json")
      ->required();
  app.add_flag("--builtin", options->builtin,
               "write the built-in model, which serves where none is given");
  app.add_option("--duration", options->seconds,
                 "about how many seconds it may take; on GPUs two minutes at least")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  options->devices.add(app);
  options->log.add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
