// TensorReader: a model's TensorProtos as constants.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "ir/constant.h"
#include "onnx.pb.h"
#include "onnx/external_file.h"

namespace cleave::onnx {

// The element type of an ONNX data type, if there is one.
std::optional<DType> dtype_of(int32_t onnx_type);
// How messages name an ONNX data type: "FLOAT16", or its number.
std::string onnx_type_name(int32_t onnx_type);

class TensorReader {
 public:
  struct Options {
    bool random_weights = false;  // absent weight files become seeded noise
    uint64_t seed = 0;
  };

  // `model` is the file that `strip` read; weight files are relative to `folder`.
  TensorReader(std::shared_ptr<const ByteSource> model, std::filesystem::path folder,
               Options options)
      : model_(std::move(model)), files_(std::move(folder)), options_(options) {}

  // The constant that `tensor` holds. Small values are read; large ones stay in their file.
  // Error(kInvalid) where dimensions, byte counts or file ranges do not fit;
  // Error(kUnsupported) for element types that Cleave does not have.
  ir::RecipePtr read(const ::onnx::TensorProto& tensor, std::string_view name);

 private:
  ir::RecipePtr read_checked(const ::onnx::TensorProto& tensor, std::string_view name);
  ir::RecipePtr read_external(const ::onnx::TensorProto& tensor, std::string_view name, DType dtype,
                              std::vector<int64_t> shape, uint64_t bytes);

  std::shared_ptr<const ByteSource> model_;
  ExternalFiles files_;
  Options options_;
};

}  // namespace cleave::onnx
