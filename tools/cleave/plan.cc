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
  TuningOptions tuning;
  LogOptions log;
};

void run(const PlanOptions& options) {
  const DeviceList devices = options.devices.list({}, options.build.machine_backend());
  Model model = load_model(options.model, options.build, devices, options.log.sink());
  const TimingCache timings = options.tuning.read(options.log.sink());
  options.tuning.plan_with(timings, model.config);
  if (!options.explain.empty()) {
    print(explain(model.network, model.config, options.explain));
    return options.tuning.write(TuningOptions::planned(model.config, timings));
  }
  const PlanReport report = plan(model.network, model.config);
  options.tuning.write(TuningOptions::planned(model.config, timings));
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
  options->tuning.add(app);
  options->log.add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
