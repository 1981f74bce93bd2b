// cleave verify: split against unsplit, and against what is expected.
#include <fmt/format.h>

#include <memory>

#include "cleave/error.h"
#include "command.h"
#include "compare.h"
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

Json to_json(const std::vector<Comparison>& comparisons, bool passed) {
  Json json = {{"passed", passed}, {"outputs", Json::array()}};
  for (const Comparison& comparison : comparisons) {
    Json output = {{"name", comparison.name}};
    output.update(to_json(comparison.worst()));
    output["unsplit"] = to_json(comparison.unsplit);
    if (comparison.expected) output["expected"] = to_json(*comparison.expected);
    json["outputs"].push_back(std::move(output));
  }
  return json;
}

void print_difference(const char* reference, const Difference& difference) {
  print(fmt::format("  from {:<9} {:.3g} absolute, {:.3g} relative: ", reference,
                    difference.max_abs, difference.max_rel));
  if (difference.passed()) return print("equal within the tolerance\n");
  print(fmt::format("{} of {} elements differ, the first is number {}\n", difference.failed,
                    difference.elements, difference.first_failed));
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
  const Engine engine = build(model.network, model.config);
  const TensorMap inputs =
      make_inputs(engine, given, session.inputs, session.build.static_shapes(), session.build.seed);
  const TensorMap split =
      run_once(engine, devices, runtime_options(session, timings), inputs, timings);
  const TensorMap unsplit =
      run_once(build_unsplit(model.network, model.config), DeviceList::cpu(1),
               unsplit_runtime_options(session, timings, devices.size()), inputs, timings);
  session.tuning.write(timings);

  const auto comparisons = compare_all(split, unsplit, expected, options.tolerance);
  bool passed = true;
  for (const Comparison& comparison : comparisons) passed &= comparison.worst().passed();
  if (!options.json.empty()) write_json(options.json, to_json(comparisons, passed));
  if (options.json != "-") {
    for (const Comparison& comparison : comparisons) {
      print(comparison.name + "\n");
      print_difference("unsplit", comparison.unsplit);
      if (comparison.expected) print_difference("expected", *comparison.expected);
    }
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
  app.add_option("--json", options->json, "also write the result as JSON; - prints it alone")
      ->type_name("FILE");
  return [options] { run(*options); };
}

}  // namespace cleave::cli
