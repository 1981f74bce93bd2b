// Attention on GPUs by tiles of queries and keys.
#pragma once

#include <memory>
#include <vector>

#include "backend/kernel.h"

namespace cleave::backend {

// "attention.tensor" for 16-bit types on tensor cores, then "attention.tiles" in float32.
std::vector<std::shared_ptr<const Kernel>> make_tiled_attention();

// By the first of these that takes the problem, else by "attention.plain". Precondition: that takes
// it.
std::unique_ptr<PreparedKernel> prepare_own_attention(const KernelProblem& problem,
                                                      KernelCache& cache);

}  // namespace cleave::backend
