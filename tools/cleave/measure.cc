// cleave measure: the machine model.
#include <memory>

#include "cleave/error.h"
#include "command.h"
#include "cost/machine_model.h"
#include "options.h"

namespace cleave::cli {
namespace {

struct Options {
  std::string output;
  bool builtin = false;
  DeviceOptions devices;
  LogOptions log;
};

void run(const Options& options) {
  options.devices.list();
  if (!options.builtin) {
    throw Error(ErrorCode::kUnsupported, "this version does not measure machines yet",
                "--builtin writes the built-in model, as a file to edit");
  }
  const std::string json = cost::MachineModel::builtin().to_json() + "\n";
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
  options->devices.add(app);
  options->log.add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
