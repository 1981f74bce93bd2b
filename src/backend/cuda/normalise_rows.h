// Rows brought to mean 0 and variance 1 on a GPU: layer_norm, rms_norm, group_norm.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backend/cuda/simple_kernel.h"

namespace cleave::backend {

// The device code of `finish`, a function of each result, that leaves results as they are.
inline constexpr const char* kFinishesAsItIs =
    "__device__ inline Working<T> finish(Working<T> x) { return x; }\n";

// Dense rows, and how they are scaled and shifted. Inputs are x, scale, bias.
struct NormalisedRows {
  int64_t rows = 0;
  int64_t length = 0;
  double epsilon = 0;
  bool centred = true;
  // Scale and bias have an element a channel: row r has `channels` of them, from
  // (r % groups) · channels on, of length / channels elements each. 0: one for each of a row.
  int64_t channels = 0;
  int64_t groups = 1;
  std::string finish = kFinishesAsItIs;  // device code

  // Why device code does not take rows of so many elements; nothing where it does.
  std::optional<std::string> refuses() const;
};

CudaRun prepare_normalisation(const KernelProblem& problem, const NormalisedRows& rows,
                              CudaDevice& device);

// The kernel of layer_norm or rms_norm.
std::shared_ptr<const Kernel> make_cuda_normalisation(const char* op, const char* name,
                                                      bool centred);

}  // namespace cleave::backend
