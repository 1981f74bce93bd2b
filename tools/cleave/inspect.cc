// cleave inspect: what is in an engine file.
#include <fmt/format.h>

#include <memory>

#include "cleave/engine.h"
#include "command.h"
#include "options.h"
#include "text.h"

namespace cleave::cli {
namespace {

struct Options {
  std::string engine;
  std::string json;
  bool check = false;
  LogOptions log;
};

bool is_fixed(const DimensionInfo& dim) { return dim.min == dim.max; }

Json shape_json(const TensorInfo& info, int64_t DimensionInfo::*which) {
  Json shape = Json::array();
  for (const DimensionInfo& dim : info.shape) shape.push_back(dim.*which);
  return shape;
}

// Fixed dimensions are numbers, the others the model's names for them.
Json tensors_json(const std::vector<TensorInfo>& infos) {
  Json json = Json::array();
  for (const TensorInfo& info : infos) {
    Json shape = Json::array();
    for (const DimensionInfo& dim : info.shape) {
      shape.push_back(is_fixed(dim) ? Json(dim.opt) : Json(dim.text));
    }
    json.push_back({{"name", info.name},
                    {"type", type_text(info.dtype)},
                    {"shape", std::move(shape)},
                    {"min", shape_json(info, &DimensionInfo::min)},
                    {"opt", shape_json(info, &DimensionInfo::opt)},
                    {"max", shape_json(info, &DimensionInfo::max)}});
  }
  return json;
}

Json layout_json(const LayoutInfo& info) {
  return {{"tensor", info.tensor}, {"layout", info.layout}};
}

Json to_json(const Engine& engine) {
  Json json;
  json["backend"] = engine.backend();
  json["devices"] = engine.devices();
  json["inputs"] = tensors_json(engine.inputs());
  json["outputs"] = tensors_json(engine.outputs());
  json["collectives"] = Json::object();
  for (const auto& [name, count] : engine.collectives()) json["collectives"][name] = count;
  json["weights_bytes"] = engine.weights_bytes();
  json["memory_bytes"] = engine.memory_bytes();
  json["activation_bytes"] = engine.activation_bytes();
  json["workspace_bytes"] = engine.workspace_bytes();
  json["predicted_us"] = engine.predicted_us();
  json["unsplit_us"] = engine.unsplit_us();
  json["weights"] = Json::array();
  for (const LayoutInfo& weight : engine.weights()) json["weights"].push_back(layout_json(weight));
  json["instructions"] = Json::array();
  for (const InstructionInfo& instruction : engine.instructions()) {
    Json results = Json::array();
    for (const LayoutInfo& result : instruction.results) results.push_back(layout_json(result));
    json["instructions"].push_back({{"op", instruction.op},
                                    {"name", instruction.name},
                                    {"text", instruction.text},
                                    {"results", std::move(results)},
                                    {"predicted_us", instruction.predicted_us}});
  }
  json["plan"] = Json::parse(engine.plan_json(), nullptr, /*allow_exceptions=*/false);
  if (json["plan"].is_discarded()) json["plan"] = nullptr;
  return json;
}

void print_tensors(const char* title, const std::vector<TensorInfo>& infos) {
  print(fmt::format("{}\n", title));
  for (const TensorInfo& info : infos) {
    std::string shape;
    for (const DimensionInfo& dim : info.shape) {
      shape += shape.empty() ? "" : " x ";
      shape += is_fixed(dim)
                   ? std::to_string(dim.opt)
                   : fmt::format("{} ({} to {}, usually {})", dim.text, dim.min, dim.max, dim.opt);
    }
    print(fmt::format("  {}  {}  {}\n", info.name, type_text(info.dtype), shape));
  }
}

// How weights and what is computed lie over the devices, in program order.
void print_layouts(const Engine& engine) {
  print("layouts of weights\n");
  for (const LayoutInfo& weight : engine.weights()) {
    print(fmt::format("  {}  {}\n", weight.tensor, weight.layout));
  }
  print("layouts of results\n");
  for (const InstructionInfo& instruction : engine.instructions()) {
    for (const LayoutInfo& result : instruction.results) {
      print(fmt::format("  {}  {}  from {}\n", result.tensor, result.layout, instruction.op));
    }
  }
}

std::string bytes_list(const std::vector<int64_t>& sizes) {
  std::vector<std::string> texts;
  for (const int64_t bytes : sizes) texts.push_back(bytes_text(static_cast<double>(bytes)));
  return list_text(texts);
}

void print_engine(const Engine& engine) {
  print(fmt::format("{} {} device(s), predicted {} a run, {} on one of them\n", engine.devices(),
                    engine.backend(), time_text(engine.predicted_us()),
                    time_text(engine.unsplit_us())));
  print_tensors("inputs", engine.inputs());
  print_tensors("outputs", engine.outputs());
  std::vector<std::string> collectives;
  for (const auto& [name, count] : engine.collectives()) {
    collectives.push_back(fmt::format("{} {}", count, name));
  }
  print(fmt::format("collectives: {}\n", list_text(collectives)));
  print(fmt::format("weights a device: {}; activations {}, workspace {}\n",
                    bytes_list(engine.weights_bytes()),
                    bytes_text(static_cast<double>(engine.activation_bytes())),
                    bytes_text(static_cast<double>(engine.workspace_bytes()))));
  print(fmt::format("memory a device: {}\n", bytes_list(engine.memory_bytes())));
  print_layouts(engine);
  print("\n" + engine.program_text());
}

void run(const Options& options) {
  if (options.check) Engine::check(options.engine);
  const Engine engine = Engine::load(options.engine);
  if (!options.json.empty()) write_json(options.json, to_json(engine));
  if (options.json == "-") return;
  print_engine(engine);
  if (options.check) print("every byte was read, and is sound\n");
}

}  // namespace

Action add_inspect(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("ENGINE", options->engine, "the engine file")->required();
  app.add_flag("--check", options->check, "read and verify every byte");
  app.add_option("--json", options->json, "also write what is found as JSON; - prints it alone")
      ->type_name("FILE");
  options->log.add(app);
  return [options] { run(*options); };
}

}  // namespace cleave::cli
