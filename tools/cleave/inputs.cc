#include "inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "cleave/error.h"
#include "fill.h"
#include "options.h"
#include "tensor_files.h"
#include "text.h"

namespace cleave::cli {
namespace {

std::vector<std::string> names_of(const std::vector<TensorInfo>& infos) {
  std::vector<std::string> names;
  for (const TensorInfo& info : infos) names.push_back(info.name);
  return names;
}

const TensorInfo* find_info(const std::vector<TensorInfo>& infos, const std::string& name) {
  const auto at = std::find_if(infos.begin(), infos.end(),
                               [&](const TensorInfo& info) { return info.name == name; });
  return at == infos.end() ? nullptr : &*at;
}

void check_given(const std::vector<TensorInfo>& infos, const TensorMap& given) {
  for (const auto& [name, tensor] : given) {
    const TensorInfo* info = find_info(infos, name);
    if (info == nullptr) {
      throw Error(ErrorCode::kInvalid, "there is no input '" + name + "'",
                  "the inputs are: " + list_text(names_of(infos)));
    }
    if (info->dtype != tensor.dtype()) {
      throw Error(ErrorCode::kInvalid,
                  fmt::format("the input is {}, {} was given", type_text(info->dtype),
                              type_text(tensor.dtype())),
                  fmt::format("convert it to {}", type_text(info->dtype)))
          .at("input '" + name + "'");
    }
  }
}

void check_option(const std::vector<TensorInfo>& infos, const char* option,
                  const std::string& name) {
  if (find_info(infos, name) != nullptr) return;
  throw Error(ErrorCode::kUsage, fmt::format("{}: there is no input '{}'", option, name),
              "the inputs are: " + list_text(names_of(infos)));
}

// The values of dynamic dimensions, by their text, that known shapes give.
std::map<std::string, int64_t> known_sizes(const std::vector<TensorInfo>& infos,
                                           const NamedShapes& shapes) {
  std::map<std::string, int64_t> sizes;
  for (const auto& [name, shape] : shapes) {
    const TensorInfo* info = find_info(infos, name);
    if (info == nullptr || info->shape.size() != shape.size()) continue;
    for (size_t d = 0; d < shape.size(); ++d) sizes.emplace(info->shape[d].text, shape[d]);
  }
  return sizes;
}

std::vector<int64_t> choose_shape(const TensorInfo& info, const NamedShapes& shapes,
                                  const std::map<std::string, int64_t>& sizes) {
  if (const auto* shape = find_shape(shapes, info.name)) return *shape;
  std::vector<int64_t> shape;
  for (const DimensionInfo& dim : info.shape) {
    const auto known = sizes.find(dim.text);
    const bool is_fixed = dim.min == dim.max;
    shape.push_back(is_fixed || known == sizes.end() ? dim.opt : known->second);
  }
  return shape;
}

}  // namespace

void InputOptions::add(CLI::App& app) {
  add_repeatable(app, "--inputs", places, "the inputs (repeatable); without, noise from --seed")
      ->type_name("FILE.safetensors|NAME=FILE.npy|FOLDER");
  add_repeatable(app, "--fill", fills,
                 "zeros, ones, iota, uniform:LO:HI or randint:LO:HI (repeatable)")
      ->type_name("NAME=RULE");
}

TensorMap InputOptions::read(const std::function<std::vector<std::string>()>& names) const {
  for (const std::string& fill : fills) Fill::parse(fill);
  return read_tensors(places, TensorRole::kInput, names);
}

NamedShapes shapes_of(const TensorMap& tensors) {
  NamedShapes shapes;
  for (const auto& [name, tensor] : tensors) shapes.emplace_back(name, tensor.shape());
  return shapes;
}

TensorMap make_inputs(const Engine& engine, const TensorMap& given, const InputOptions& options,
                      const NamedShapes& shapes, uint64_t seed) {
  const std::vector<TensorInfo> infos = engine.inputs();
  check_given(infos, given);
  for (const NamedShape& shape : shapes) check_option(infos, "--shapes", shape.first);
  std::map<std::string, Fill> fills;
  for (const std::string& text : options.fills) {
    Fill fill = Fill::parse(text);
    check_option(infos, "--fill", fill.name);
    const std::string name = fill.name;
    fills[name] = std::move(fill);
  }
  std::map<std::string, int64_t> sizes = known_sizes(infos, shapes);
  sizes.merge(known_sizes(infos, shapes_of(given)));
  TensorMap inputs;
  for (const TensorInfo& info : infos) {
    if (const Tensor* tensor = given.find(info.name)) {
      inputs.set(info.name, *tensor);
      continue;
    }
    const auto fill = fills.find(info.name);
    if (!given.empty() && fill == fills.end()) {
      throw Error(
          ErrorCode::kInvalid, "the input '" + info.name + "' is missing",
          fmt::format("give all of {}, or --fill {}=zeros", list_text(names_of(infos)), info.name));
    }
    Fill noise;
    noise.name = info.name;
    inputs.set(info.name, filled(fill == fills.end() ? noise : fill->second, info.dtype,
                                 choose_shape(info, shapes, sizes), seed));
  }
  return inputs;
}

}  // namespace cleave::cli
