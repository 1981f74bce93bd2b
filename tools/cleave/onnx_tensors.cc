#include "onnx_tensors.h"

#include <optional>

#include "base/file.h"
#include "cleave/error.h"
#include "onnx/tensor_reader.h"

namespace cleave::cli {
namespace {

namespace fs = std::filesystem;

// What libprotobuf can hold.
constexpr uint64_t kMaxFileBytes = (uint64_t{1} << 31) - 1;
constexpr int kLastOnnxType = 32;

std::pair<std::string, Tensor> read_file_of_tensor(const fs::path& path) {
  const std::string bytes = read_file(path, kMaxFileBytes);
  ::onnx::TensorProto proto;
  if (!proto.ParseFromString(bytes)) {
    throw Error(ErrorCode::kInvalid, "not a TensorProto",
                "write the file again with onnx.save_tensor");
  }
  onnx::TensorReader reader(memory_source(path.string(), {}), path.parent_path(), {});
  const HostTensor value = reader.read(proto, proto.name())->read_all();
  return {proto.name(), Tensor::view(value.dtype, value.shape, value.bytes).copy()};
}

int32_t onnx_type_of(DType type) {
  for (int32_t number = 1; number <= kLastOnnxType; ++number) {
    if (onnx::dtype_of(number) == type) return number;
  }
  throw Error(ErrorCode::kUnsupported, "ONNX has no such element type");
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> read_onnx_folder(const fs::path& folder,
                                                             const std::string& prefix) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (;;) {
    const fs::path path = folder / (prefix + "_" + std::to_string(tensors.size()) + ".pb");
    std::error_code ignored;
    if (!tensors.empty() && !fs::exists(path, ignored)) return tensors;
    try {
      tensors.push_back(read_file_of_tensor(path));
    } catch (const Error& error) {
      throw Error(error).at(path.string());
    }
  }
}

void write_onnx_folder(const fs::path& folder, const std::string& prefix,
                       const TensorMap& tensors) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) {
    throw Error(ErrorCode::kInvalid, "cannot make " + folder.string() + ": " + failed.message(),
                "choose another folder");
  }
  size_t number = 0;
  for (const auto& [name, tensor] : tensors) {
    ::onnx::TensorProto proto;
    proto.set_name(name);
    proto.set_data_type(onnx_type_of(tensor.dtype()));
    for (const int64_t extent : tensor.shape()) proto.add_dims(extent);
    proto.set_raw_data(tensor.data(), tensor.bytes());
    const std::string bytes = proto.SerializeAsString();
    FileWriter file(folder / (prefix + "_" + std::to_string(number++) + ".pb"));
    file.append(std::as_bytes(std::span(bytes)));
    file.commit();
  }
}

}  // namespace cleave::cli
