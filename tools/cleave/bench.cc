// cleave bench: latency, throughput, communication, memory, and how well all that was predicted.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "cleave/error.h"
#include "command.h"
#include "loads.h"
#include "session.h"
#include "text.h"
#include "timing.h"

namespace cleave::cli {
namespace {

constexpr int64_t kTracedRuns = 20;

struct Options {
  SessionOptions session;
  bool unsplit = false;
  int64_t iterations = 0;
  TimingOptions timing;
  std::string json;
};

// How far a prediction lies from what was measured, relative to the latter.
double error_of(double predicted, double measured) {
  return measured > 0 ? std::fabs(predicted - measured) / measured : 0;
}

struct Result {
  size_t devices = 0;
  Latencies latencies;
  TimingSummary traced;
  std::vector<int64_t> peak_memory;
  std::vector<WeightLoad> loads;
  double predicted_us = 0;

  // Over all instructions that take time; none where there are none.
  std::optional<double> median_error_of_ops() const {
    std::vector<double> errors;
    for (const TimingSummary::Row& row : traced.rows()) {
      if (row.median_us <= 0 || row.instruction.predicted_us <= 0) continue;
      errors.push_back(error_of(row.instruction.predicted_us, row.median_us));
    }
    if (errors.empty()) return std::nullopt;
    const auto middle = errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2);
    std::nth_element(errors.begin(), middle, errors.end());
    return *middle;
  }
  double error_of_model() const { return error_of(predicted_us, latencies.device_median()); }
};

Result measure(const Options& options, const Session& session, const RuntimeOptions& runtime_with) {
  Runtime runtime(session.devices, runtime_with);
  ExecutionContext context = runtime.create_context(session.engine);
  Result result;
  result.devices = session.devices.size();
  result.predicted_us = session.engine.predicted_us();
  const TensorMap inputs = in_host_memory(runtime, session.inputs);
  result.latencies = measure_latencies(context, inputs, options.timing);
  for (const DeviceMemory& memory : runtime.memory()) result.peak_memory.push_back(memory.peak);
  result.loads = context.weight_loads();
  const auto runs = static_cast<int64_t>(result.latencies.sorted.size());
  result.traced = trace_runs(context, inputs, std::clamp<int64_t>(runs, 1, kTracedRuns));
  options.session.tuning.write(runtime.timing_cache());
  return result;
}

// The model whole on one of the devices, with that one's share of the cores.
Result measure_unsplit(const Options& options, TimingCache timings) {
  const SessionOptions& given = options.session;
  if (is_engine_file(given.target)) {
    throw Error(ErrorCode::kUsage, "--unsplit takes a model: an engine is split as it was built",
                "give the ONNX model")
        .at(given.target);
  }
  const DeviceList devices = given.devices.list();
  const TensorMap tensors = read_inputs(given);
  const Model model =
      load_model(given.target, given.build, devices, given.log.sink(), shapes_of(tensors));
  Engine engine = build_unsplit(model.network, model.config);
  TensorMap inputs =
      make_inputs(engine, tensors, given.inputs, given.build.static_shapes(), given.build.seed);
  const Session session{std::move(engine), devices.first(), std::move(inputs)};
  return measure(options, session,
                 unsplit_runtime_options(given, std::move(timings), devices.size()));
}

Result measure_split(const Options& options, TimingCache timings) {
  const Session session = open_session(options.session, timings);
  return measure(options, session, runtime_options(options.session, std::move(timings)));
}

Json to_json(const Result& result) {
  const Latencies& latencies = result.latencies;
  Json json;
  json["devices"] = result.devices;
  json["latency_us"] = {{"median", latencies.median()},    {"p10", latencies.percentile(10)},
                        {"p99", latencies.percentile(99)}, {"min", latencies.min()},
                        {"max", latencies.max()},          {"mean", latencies.mean()}};
  json["device_us"] = {{"median", latencies.device_median()}};
  json["iterations"] = latencies.sorted.size();
  json["throughput_per_s"] = latencies.throughput_per_s();
  json["cpu_us"] = latencies.cpu_us();
  json["communication_us"] = result.traced.communication_us();
  json["waiting_us"] = result.traced.waiting_us();
  json["compute_us"] = result.traced.compute_us();
  json["peak_memory_bytes"] = result.peak_memory;
  json["weight_loads"] = loads_json(result.loads);
  json["predicted_us"] = result.predicted_us;
  json["prediction_error"] = {{"model", result.error_of_model()}};
  if (const auto error = result.median_error_of_ops())
    json["prediction_error"]["median_op"] = *error;
  json["instructions"] = Json::array();
  for (const TimingSummary::Row& row : result.traced.rows()) {
    json["instructions"].push_back({{"op", row.instruction.op},
                                    {"name", row.instruction.name},
                                    {"kernel", row.kernel},
                                    {"communication", row.instruction.communication},
                                    {"predicted_us", row.instruction.predicted_us},
                                    {"measured_us", row.median_us},
                                    {"waiting_us", row.waiting_us}});
  }
  return json;
}

// The end of a long text, which tells names apart.
std::string cell(const std::string& text, size_t width) {
  return text.size() <= width ? text : ".." + text.substr(text.size() - (width - 2));
}

void print_instructions(const Result& result) {
  print(fmt::format("\n{:<14} {:<30} {:>11} {:>10} {:>9}\n", "op", "node", "predicted us",
                    "measured", "waiting"));
  for (const TimingSummary::Row& row : result.traced.rows()) {
    print(fmt::format("{:<14} {:<30} {:>12.1f} {:>10.1f} {:>9.1f}\n", cell(row.instruction.op, 14),
                      cell(row.instruction.name, 30), row.instruction.predicted_us, row.median_us,
                      row.waiting_us));
  }
}

void print_result(const Result& result, bool with_instructions) {
  const Latencies& latencies = result.latencies;
  print(fmt::format("latency        median {}, p10 {}, p99 {}, min {}, max {} ({} runs)\n",
                    time_text(latencies.median()), time_text(latencies.percentile(10)),
                    time_text(latencies.percentile(99)), time_text(latencies.min()),
                    time_text(latencies.max()), latencies.sorted.size()));
  print(fmt::format("on the devices median {}, without copies between them and the host\n",
                    time_text(latencies.device_median())));
  print(fmt::format("throughput     {:.1f} runs a second\n", latencies.throughput_per_s()));
  print(fmt::format("cpu time       {} a run over all devices, {:.2f} cores busy\n",
                    time_text(latencies.cpu_us()), latencies.busy_cores()));
  print(fmt::format("communication  {} a run, and {} waiting for other devices (traced apart)\n",
                    time_text(result.traced.communication_us()),
                    time_text(result.traced.waiting_us())));
  std::string memory;
  for (const int64_t bytes : result.peak_memory) {
    memory += (memory.empty() ? "" : ", ") + bytes_text(static_cast<double>(bytes));
  }
  print(fmt::format("peak memory    {} on the {} device(s)\n", memory, result.devices));
  for (size_t rank = 0; rank < result.loads.size(); ++rank) {
    print(fmt::format("weights        of rank {}: {}\n", rank, load_text(result.loads[rank])));
  }
  print(fmt::format("predicted      {}, off by {:.0f}%", time_text(result.predicted_us),
                    100 * result.error_of_model()));
  if (const auto error = result.median_error_of_ops()) {
    print(fmt::format("; the median operation by {:.0f}%", 100 * *error));
  }
  print("\n");
  if (with_instructions) print_instructions(result);
}

void run(Options options) {
  if (options.iterations > 0) {
    options.timing.iterations = options.timing.at_most = options.iterations;
  }
  TimingCache timings = options.session.tuning.read(options.session.log.sink());
  const Result result = options.unsplit ? measure_unsplit(options, std::move(timings))
                                        : measure_split(options, std::move(timings));
  if (!options.json.empty()) write_json(options.json, to_json(result));
  if (options.json != "-") print_result(result, options.session.log.verbose);
}

}  // namespace

Action add_bench(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->session.add(app, "an engine, or an ONNX model that is built in memory");
  app.add_flag("--unsplit", options->unsplit, "measure the model whole on one of the devices");
  app.add_option("--iterations", options->iterations,
                 "how many runs (default: 10 or more, for --duration)")
      ->check(CLI::Range(int64_t{1}, options->timing.at_most));
  app.add_option("--warmUp", options->timing.warm_up_ms, "milliseconds of runs that do not count")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--duration", options->timing.duration_s, "seconds")
      ->check(CLI::Range(0.0, 1e5))
      ->capture_default_str();
  app.add_option("--json", options->json, "also write the result as JSON; - prints it alone")
      ->type_name("FILE");
  return [options] { run(*options); };
}

}  // namespace cleave::cli
