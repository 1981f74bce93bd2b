// cleave plan: what would be split, what it costs, and why.
#include <memory>

#include "command.h"
#include "model.h"

namespace cleave::cli {
namespace {

struct PlanOptions {
  std::string model;
  std::string json;
  std::string explain;
  DeviceOptions devices;
  BuildOptions build;
  LogOptions log;
};

void run(const PlanOptions& options) {
  const DeviceList devices = options.devices.list({}, options.build.machine_backend());
  const Model model = load_model(options.model, options.build, devices, options.log.sink());
  if (!options.explain.empty()) {
    return print(explain(model.network, model.config, options.explain));
  }
  const PlanReport report = plan(model.network, model.config);
  if (options.json == "-") return print(report.json + "\n");
  if (!options.json.empty()) write_text(options.json, report.json + "\n");
  print(report.table);
}

}  // namespace

Action add_plan(CLI::App& app) {
  auto options = std::make_shared<PlanOptions>();
  app.add_option("MODEL", options->model, "the ONNX model; its weights are not read")->required();
  auto* json =
      app.add_option("--json", options->json, "also write the plan as JSON; - prints it alone")
          ->type_name("FILE");
  app.add_option("--explain", options->explain,
                 "every strategy of this node with its cost, instead of the table")
      ->type_name("NODE")
      ->excludes(json);
  options->devices.add(app);
  options->build.add(app);
  options->log.add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
