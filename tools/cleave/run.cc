// cleave run: one inference.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "command.h"
#include "loads.h"
#include "session.h"
#include "tensor_files.h"
#include "text.h"
#include "values.h"

namespace cleave::cli {
namespace {

constexpr int64_t kShownValues = 6;

struct Options {
  SessionOptions session;
  std::vector<std::string> outputs;
  std::string trace;
};

// "y  float32 4x512  min -1.2  max 3.4  mean 0.01\n  0.1 0.2 ..."
std::string summary(const std::string& name, const Tensor& tensor) {
  double min = std::numeric_limits<double>::infinity();
  double max = -min;
  double sum = 0;
  int64_t nans = 0;
  std::string first;
  for_each_value(tensor, [&](int64_t i, double value) {
    if (i < kShownValues) first += fmt::format(" {:.6g}", value);
    if (std::isnan(value)) {
      ++nans;
      return;
    }
    min = std::min(min, value);
    max = std::max(max, value);
    sum += value;
  });
  const int64_t count = tensor.elements();
  std::string line =
      fmt::format("{}  {} {}", name, type_text(tensor.dtype()), shape_text(tensor.shape()));
  if (count > nans) {
    line += fmt::format("  min {:.6g}  max {:.6g}  mean {:.6g}", min, max,
                        sum / static_cast<double>(count - nans));
  }
  if (nans > 0) line += fmt::format("  {} of {} are not numbers", nans, count);
  return line + "\n " + first + (count > kShownValues ? " ..." : "") + "\n";
}

void run(const Options& options) {
  check_places(options.outputs);
  const TuningOptions& tuning = options.session.tuning;
  TimingCache timings = tuning.read(options.session.log.sink());
  const Session session = open_session(options.session, timings);
  Runtime runtime(session.devices, runtime_options(options.session, std::move(timings)));
  ExecutionContext context = runtime.create_context(session.engine);
  Timeline timeline;
  RunOptions run_options;
  if (!options.trace.empty()) run_options.timeline = &timeline;
  const TensorMap outputs = context.run(session.inputs, run_options);
  const std::vector<WeightLoad> loads = context.weight_loads();
  for (size_t rank = 0; rank < loads.size(); ++rank) {
    options.session.log.progress(
        fmt::format("weights of {}: {}", session.devices[rank].text(), load_text(loads[rank])));
  }
  tuning.write(runtime.timing_cache());
  if (!options.trace.empty()) write_text(options.trace, chrome_trace(timeline));
  write_tensors(options.outputs, TensorRole::kOutput, outputs);
  for (const auto& [name, tensor] : outputs) print(summary(name, tensor));
}

}  // namespace

Action add_run(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->session.add(app, "an engine, or an ONNX model that is built in memory");
  add_repeatable(app, "--outputs", options->outputs, "where outputs go (repeatable)")
      ->type_name("FILE.safetensors|NAME=FILE.npy|FOLDER/");
  app.add_option("--trace", options->trace,
                 "write what each device did and when; https://ui.perfetto.dev opens it")
      ->type_name("FILE.json");
  return [options] { run(*options); };
}

}  // namespace cleave::cli
