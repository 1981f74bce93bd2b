// Folders of ONNX test data: one TensorProto a file, input_0.pb, input_1.pb, ..., output_0.pb, ...
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cleave/tensor.h"

namespace cleave::cli {

// PREFIX_0.pb, PREFIX_1.pb, ... with the names that they hold, which may be empty. Error(kInvalid)
// where there is no PREFIX_0.pb, and for damaged files; Error(kUnsupported) for element types that
// Cleave does not have.
std::vector<std::pair<std::string, Tensor>> read_onnx_folder(const std::filesystem::path& folder,
                                                             const std::string& prefix);

// Makes the folder where there is none.
void write_onnx_folder(const std::filesystem::path& folder, const std::string& prefix,
                       const TensorMap& tensors);

}  // namespace cleave::cli
