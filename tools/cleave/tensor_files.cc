#include "tensor_files.h"

#include "cleave/error.h"
#include "npy.h"
#include "onnx_tensors.h"
#include "safetensors.h"

namespace cleave::cli {
namespace {

namespace fs = std::filesystem;

enum class Form { kSafetensors, kNumpy, kFolder };

struct Place {
  Form form = Form::kSafetensors;
  fs::path path;
  std::string name;  // of kNumpy
};

Place parse_place(const std::string& text) {
  if (text.ends_with(".safetensors")) return {Form::kSafetensors, text, {}};
  std::error_code ignored;
  if (text.ends_with('/') || fs::is_directory(text, ignored)) return {Form::kFolder, text, {}};
  const size_t equals = text.find('=');
  if (text.ends_with(".npy") && equals != std::string::npos && equals != 0) {
    return {Form::kNumpy, text.substr(equals + 1), text.substr(0, equals)};
  }
  const bool exists = fs::exists(text, ignored);
  if (!exists && fs::path(text).filename().string().starts_with("test_data_set")) {
    return {Form::kFolder, text, {}};
  }
  throw Error(ErrorCode::kUsage, "'" + text + "' is no place of tensors",
              "write FILE.safetensors, NAME=FILE.npy, or a folder of ONNX test data");
}

const char* prefix(TensorRole role) { return role == TensorRole::kInput ? "input" : "output"; }

void add(TensorMap& all, const std::string& name, Tensor tensor, const fs::path& path) {
  if (all.contains(name)) {
    throw Error(ErrorCode::kInvalid, "the tensor '" + name + "' is given twice",
                "give each tensor once")
        .at(path.string());
  }
  all.set(name, std::move(tensor));
}

void add_folder(TensorMap& all, const fs::path& folder, TensorRole role,
                const std::function<std::vector<std::string>()>& names) {
  const auto tensors = read_onnx_folder(folder, prefix(role));
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::string name = tensors[i].first;
    if (name.empty()) {
      const std::vector<std::string> known = names();
      if (i >= known.size()) {
        throw Error(ErrorCode::kInvalid,
                    "there are more tensors than the model has " + std::string(prefix(role)) + "s")
            .at(folder.string());
      }
      name = known[i];
    }
    add(all, name, tensors[i].second, folder);
  }
}

}  // namespace

TensorMap read_tensors(const std::vector<std::string>& places, TensorRole role,
                       const std::function<std::vector<std::string>()>& names) {
  TensorMap all;
  for (const std::string& text : places) {
    const Place place = parse_place(text);
    switch (place.form) {
      case Form::kSafetensors:
        for (const auto& [name, tensor] : read_safetensors(place.path)) {
          add(all, name, tensor, place.path);
        }
        break;
      case Form::kNumpy:
        add(all, place.name, read_npy(place.path), place.path);
        break;
      case Form::kFolder:
        add_folder(all, place.path, role, names);
        break;
    }
  }
  return all;
}

void write_tensors(const std::vector<std::string>& places, TensorRole role,
                   const TensorMap& tensors) {
  for (const std::string& text : places) {
    const Place place = parse_place(text);
    switch (place.form) {
      case Form::kSafetensors:
        write_safetensors(place.path, tensors);
        break;
      case Form::kNumpy:
        write_npy(place.path, tensors.at(place.name));
        break;
      case Form::kFolder:
        write_onnx_folder(place.path, prefix(role), tensors);
        break;
    }
  }
}

void check_places(const std::vector<std::string>& places) {
  for (const std::string& text : places) parse_place(text);
}

}  // namespace cleave::cli
