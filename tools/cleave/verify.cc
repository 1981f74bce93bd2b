// cleave verify: split against unsplit, and against what is expected.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "cleave/error.h"
#include "command.h"
#include "compare.h"
#include "layers.h"
#include "session.h"
#include "tensor_files.h"
#include "text.h"

namespace cleave::cli {
namespace {

struct Options {
  SessionOptions session;
  std::vector<std::string> expect;
  std::string json;
  Tolerance tolerance;
  bool layers = false;
};

// One output against each reference there is.
struct Comparison {
  std::string name;
  Difference unsplit;
  std::optional<Difference> expected;

  Difference worst() const {
    Difference both = unsplit;
    if (expected) both.merge(*expected);
    return both;
  }
};

// `timings` becomes what is known after the run.
TensorMap run_once(const Engine& engine, const DeviceList& devices, const RuntimeOptions& options,
                   const TensorMap& inputs, TimingCache& timings) {
  Runtime runtime(devices, options);
  TensorMap outputs = runtime.create_context(engine).run(inputs);
  timings = runtime.timing_cache();
  return outputs;
}

// The model whole, on one device with one device's share of the cores.
struct Unsplit {
  Engine engine;
  DeviceList devices;
  RuntimeOptions options;
  std::optional<Runtime> runtime = {};
};

// Where it needs more than --memory its weights are streamed. With --layers they are anyway: the
// split run is in memory at the same time, and one run costs no more for it.
Unsplit make_unsplit(const Options& options, const Model& model, size_t devices) {
  Unsplit unsplit{build_unsplit(model.network, model.config), model.config.devices.first(),
                  unsplit_runtime_options(options.session, {}, devices)};
  const int64_t limit = options.session.build.memory_limit();
  const int64_t needed = unsplit.engine.memory_bytes().at(0);
  unsplit.options.stream_weights = options.layers;
  if (limit == 0 || needed <= limit) return unsplit;
  unsplit.options.stream_weights = true;
  unsplit.options.memory_limit = limit;
  options.session.log.progress(
      fmt::format("unsplit the model needs {}, --memory allows {}: its weights are streamed",
                  bytes_text(static_cast<double>(needed)), bytes_text(static_cast<double>(limit))));
  return unsplit;
}

// A context of the unsplit model. Where it does not even fit with its weights streamed, the host's
// memory serves: a result is worth more than a limit that the split run keeps.
ExecutionContext unsplit_context(Unsplit& unsplit, const LogOptions& log) {
  try {
    unsplit.runtime.emplace(unsplit.devices, unsplit.options);
    return unsplit.runtime->create_context(unsplit.engine);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kOutOfMemory || unsplit.options.memory_limit == 0) throw;
    log.sink()(
        LogLevel::kWarning,
        "unsplit the model runs beyond --memory, its weights streamed or not: " + error.message());
  }
  unsplit.options.memory_limit = 0;
  unsplit.runtime.emplace(unsplit.devices, unsplit.options);
  return unsplit.runtime->create_context(unsplit.engine);
}

std::vector<Comparison> compare_all(const TensorMap& split, const TensorMap& unsplit,
                                    const TensorMap& expected, const Tolerance& tolerance) {
  for (const auto& [name, tensor] : expected) {
    if (split.contains(name)) continue;
    throw Error(ErrorCode::kInvalid, "the model has no output '" + name + "'",
                "--expect must hold outputs of this model");
  }
  std::vector<Comparison> result;
  for (const auto& [name, tensor] : split) {
    try {
      Comparison& comparison = result.emplace_back();
      comparison.name = name;
      comparison.unsplit = compare(tensor, unsplit.at(name), tolerance);
      if (const Tensor* wanted = expected.find(name)) {
        comparison.expected = compare(tensor, *wanted, tolerance);
      }
    } catch (const Error& error) {
      throw Error(error).at("output '" + name + "'");
    }
  }
  return result;
}

Json to_json(const Difference& difference) {
  return {{"max_abs", difference.max_abs},
          {"max_rel", difference.max_rel},
          {"failed", difference.failed},
          {"elements", difference.elements}};
}

Json to_json(const std::vector<Comparison>& comparisons, bool passed, const Unsplit& unsplit) {
  Json json = {{"passed", passed}, {"outputs", Json::array()}};
  for (const Comparison& comparison : comparisons) {
    Json output = {{"name", comparison.name}};
    output.update(to_json(comparison.worst()));
    output["unsplit"] = to_json(comparison.unsplit);
    if (comparison.expected) output["expected"] = to_json(*comparison.expected);
    json["outputs"].push_back(std::move(output));
  }
  json["unsplit"] = {{"streamed", unsplit.options.stream_weights},
                     {"memory_bytes", unsplit.engine.memory_bytes().at(0)},
                     {"peak_memory_bytes", unsplit.runtime->memory().at(0).peak}};
  return json;
}

void print_difference(const char* reference, const Difference& difference) {
  print(fmt::format("  from {:<9} {:.3g} absolute, {:.3g} relative: ", reference,
                    difference.max_abs, difference.max_rel));
  if (difference.passed()) return print("equal within tolerance\n");
  print(fmt::format("differs\n    {} of {} elements, the first is number {}\n", difference.failed,
                    difference.elements, difference.first_failed));
}

// `timings` is what is known of kernels before, and becomes what is known after the runs.
PairedRuns run_both(const Options& options, const Engine& engine, const DeviceList& devices,
                    Unsplit& unsplit, const TensorMap& inputs, TimingCache& timings) {
  RuntimeOptions split = runtime_options(options.session, timings);
  PairedRuns runs;
  if (!options.layers) {
    runs.split = run_once(engine, devices, split, inputs, timings);
    unsplit.options.timing_cache = timings;
    runs.unsplit = unsplit_context(unsplit, options.session.log).run(inputs);
  } else {
    // Ranks wait for the unsplit run, however long that takes.
    split.lateness_limit = std::chrono::milliseconds(0);
    Runtime runtime(devices, split);
    ExecutionContext split_context = runtime.create_context(engine);
    unsplit.options.timing_cache = timings;
    ExecutionContext whole = unsplit_context(unsplit, options.session.log);
    runs = run_paired(split_context, whole, inputs, options.tolerance);
    timings = runtime.timing_cache();
  }
  if (!unsplit.options.stream_weights) timings = unsplit.runtime->timing_cache();
  return runs;
}

void run(const Options& options) {
  const SessionOptions& session = options.session;
  check_places(options.expect);
  if (is_engine_file(session.target)) {
    throw Error(ErrorCode::kUsage, "verify takes a model: an engine has nothing to compare with",
                "give the ONNX model")
        .at(session.target);
  }
  TimingCache timings = session.tuning.read(session.log.sink());
  const DeviceList devices = session.devices.list();
  const TensorMap given = read_inputs(session);
  Model model =
      load_model(session.target, session.build, devices, session.log.sink(), shapes_of(given));
  const TensorMap expected = read_tensors(options.expect, TensorRole::kOutput,
                                          [&] { return model.network.output_names(); });
  session.tuning.plan_with(timings, model.config);
  const Engine engine = build(model.network, model.config);
  timings = TuningOptions::planned(model.config, std::move(timings));
  const TensorMap inputs =
      make_inputs(engine, given, session.inputs, session.build.static_shapes(), session.build.seed);
  Unsplit unsplit = make_unsplit(options, model, devices.size());
  const PairedRuns runs = run_both(options, engine, devices, unsplit, inputs, timings);
  session.tuning.write(timings);

  const auto comparisons = compare_all(runs.split, runs.unsplit, expected, options.tolerance);
  bool passed = true;
  for (const Comparison& comparison : comparisons) passed &= comparison.worst().passed();
  if (!options.json.empty()) {
    Json json = to_json(comparisons, passed, unsplit);
    if (options.layers) add_json(runs.report, json);
    write_json(options.json, json);
  }
  if (options.json != "-") {
    if (options.layers) print(layer_table(runs.report));
    for (const Comparison& comparison : comparisons) {
      print(comparison.name + "\n");
      print_difference("unsplit", comparison.unsplit);
      if (comparison.expected) print_difference("expected", *comparison.expected);
    }
  }
  if (passed && runs.report.first_difference() != nullptr) {
    session.log.sink()(LogLevel::kWarning,
                       "tensors inside differ by more than the tolerance, the outputs do not");
  }
  flush_output();
  if (passed) return;
  throw Error(ErrorCode::kVerificationFailed, "the outputs differ by more than the tolerance",
              "--rtol and --atol set the tolerance");
}

}  // namespace

Action add_verify(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->session.add(app, "the ONNX model");
  add_repeatable(app, "--expect", options->expect, "what the outputs must be (repeatable)")
      ->type_name("FILE.safetensors|NAME=FILE.npy|FOLDER");
  app.add_option("--rtol", options->tolerance.relative,
                 "passes where |a-b| <= atol + rtol*|b| (default: 1e-4, more for half precision)");
  app.add_option("--atol", options->tolerance.absolute,
                 "default: 1e-5 of the output's largest value, more for half precision");
  app.add_flag("--layers", options->layers,
               "also compare every tensor that both runs make, and name the first that differs");
  app.add_option("--json", options->json, "also write the result as JSON; - prints it alone")
      ->type_name("FILE");
  return [options] { run(*options); };
}

}  // namespace cleave::cli
