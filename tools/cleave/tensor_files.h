// Tensors in files, in the forms that --inputs, --outputs and --expect take: a safetensors file,
// NAME=FILE.npy, or a folder of ONNX test data.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cleave/tensor.h"

namespace cleave::cli {

enum class TensorRole { kInput, kOutput };

// Reads all of `places`. A folder's files (input_0.pb or output_0.pb, ...) that hold no name get
// that of their number in `names`, which is called only then. Error(kInvalid) for files that are
// damaged and names that come twice, Error(kUsage) for a place of no known form.
TensorMap read_tensors(const std::vector<std::string>& places, TensorRole role,
                       const std::function<std::vector<std::string>()>& names);

// Writes the tensors to each of `places`; NAME=FILE.npy takes one of them, the others all.
void write_tensors(const std::vector<std::string>& places, TensorRole role,
                   const TensorMap& tensors);

// Error(kUsage) unless every place is of a known form: before anything is computed.
void check_places(const std::vector<std::string>& places);

}  // namespace cleave::cli
