// Safetensors files (https://github.com/huggingface/safetensors, "Format").
#pragma once

#include <filesystem>

#include "cleave/tensor.h"

namespace cleave::cli {

// Error(kInvalid) that names the file for anything but a sound file whose tensors fill it without
// overlap.
TensorMap read_safetensors(const std::filesystem::path& path);

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors);

}  // namespace cleave::cli
