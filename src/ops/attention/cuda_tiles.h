// Attention on GPUs by tiles of queries and keys.
#pragma once

#include <memory>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// "attention.tensor" for 16-bit types on tensor cores, then "attention.tiles" in float32.
std::vector<std::shared_ptr<const Kernel>> make_tiled_attention();

}  // namespace cleave::backend
