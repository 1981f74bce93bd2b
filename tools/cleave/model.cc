#include "model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "cleave/error.h"
#include "compiler/network_impl.h"
#include "program/engine_header.h"

namespace cleave::cli {
namespace {

struct Sizes {
  SymbolValues min;
  SymbolValues opt;
  SymbolValues max;
};

const InputProfile* find_profile(const std::vector<InputProfile>& profile,
                                 const std::string& name) {
  const auto at = std::find_if(profile.begin(), profile.end(),
                               [&](const InputProfile& input) { return input.name == name; });
  return at == profile.end() ? nullptr : &*at;
}

// The sizes of the dynamic dimensions that the profile names.
Sizes sizes_of(const ir::Graph& graph, const std::vector<InputProfile>& profile) {
  Sizes sizes;
  for (ir::ValueId id : graph.inputs()) {
    const InputProfile* given = find_profile(profile, graph.value(id).name);
    const Shape& shape = graph.type(id).shape;
    // A profile of the wrong rank is refused by the build, with a better message.
    if (given == nullptr || given->opt.size() != shape.size()) continue;
    for (size_t d = 0; d < shape.size(); ++d) {
      std::set<std::string, std::less<>> names;
      shape[d].collect_symbols(names);
      if (names.size() != 1 || Dim::symbol(*names.begin()) != shape[d]) continue;
      const std::string& name = *names.begin();
      sizes.min[name] = given->min.at(d);
      sizes.opt[name] = given->opt[d];
      sizes.max[name] = given->max.at(d);
    }
  }
  return sizes;
}

std::vector<int64_t> evaluate(const Shape& shape, const SymbolValues& values) {
  std::vector<int64_t> sizes;
  for (const Dim& dim : shape) sizes.push_back(dim.evaluate(values));
  return sizes;
}

// Adds to the profile the inputs with dimensions that nothing settles.
void settle_open_dimensions(const Network& network, std::vector<InputProfile>& profile,
                            const LogSink& log) {
  const ir::Graph& graph = network.impl()->graph;
  Sizes sizes = sizes_of(graph, profile);
  NamedShapes guessed;
  std::set<std::string, std::less<>> open;
  for (ir::ValueId id : graph.inputs()) {
    const Shape& shape = graph.type(id).shape;
    if (find_profile(profile, graph.value(id).name) != nullptr) continue;
    std::set<std::string, std::less<>> names;
    for (const Dim& dim : shape) dim.collect_symbols(names);
    bool is_open = false;
    for (const std::string& name : names) {
      const bool is_new = sizes.opt.emplace(name, 1).second;
      sizes.min.emplace(name, 1);
      sizes.max.emplace(name, 1);
      if (is_new) open.insert(name);
      is_open = is_open || open.contains(name);
    }
    if (!is_open) continue;
    profile.push_back({graph.value(id).name, evaluate(shape, sizes.min), evaluate(shape, sizes.opt),
                       evaluate(shape, sizes.max)});
    guessed.emplace_back(graph.value(id).name, profile.back().opt);
  }
  if (open.empty()) return;
  cleave::log(
      log, LogLevel::kWarning,
      fmt::format("nothing says how large {} {}; taken as 1. To choose, write for example "
                  "--shapes={}",
                  fmt::join(open, ", "), open.size() == 1 ? "is" : "are", shapes_text(guessed)));
}

}  // namespace

bool is_engine_file(const std::filesystem::path& path) {
  if (path.extension() == ".cleave") return true;
  const auto file = open_file(path);
  std::array<char, program::EngineHeader::kMagic.size()> first = {};
  if (file->size() < first.size()) return false;
  file->read(0, std::as_writable_bytes(std::span(first)));
  return first == program::EngineHeader::kMagic;
}

Model load_model(const std::filesystem::path& path, const BuildOptions& options,
                 const DeviceList& devices, const LogSink& log, const NamedShapes& input_shapes) {
  std::vector<InputProfile> profile = options.profile();
  onnx::LoadOptions load;
  load.random_weights = options.random_weights;
  load.seed = options.seed;
  load.log = log;
  // With a profile, --shapes and the inputs choose a size inside it.
  const bool from_inputs = options.shapes.empty();
  if (profile.empty()) load.shapes = from_inputs ? input_shapes : options.static_shapes();
  BuilderConfig config = options.config(devices, log);
  try {
    Model model{onnx::load(path, load), std::move(config)};
    settle_open_dimensions(model.network, profile, log);
    model.config.profile = std::move(profile);
    return model;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInvalid && error.hint().empty()) {
      throw Error(error).with_hint(
          "the model is wrong there; check it with onnx.checker, or export "
          "it again");
    }
    if (error.code() != ErrorCode::kUsage || !from_inputs || load.shapes.empty()) throw;
    // It was the inputs that do not fit, not an option.
    Error invalid(ErrorCode::kInvalid, "the inputs do not fit the model: " + error.message(),
                  error.hint());
    for (const std::string& place : error.places()) invalid.at(place);
    throw invalid;
  }
}

DeviceList devices_of(const Engine& engine) {
  return DeviceList::of(engine.backend(), static_cast<int>(engine.devices()));
}

void check_devices(const Engine& engine, const DeviceList& devices) {
  if (engine.devices() == static_cast<int64_t>(devices.size())) return;
  throw Error(ErrorCode::kUsage,
              fmt::format("the engine runs on {} device(s), {} are given: {}", engine.devices(),
                          devices.size(), devices.text()),
              fmt::format("give {} --devices, or build the engine again for {}", engine.devices(),
                          devices.size()));
}

}  // namespace cleave::cli
