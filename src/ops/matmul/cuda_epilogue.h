// The chain behind a product, as far as cuBLASLt carries it out itself.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <optional>
#include <string>

#include "ops/matmul/kernel_layout.h"

namespace cleave::backend {

// A bias, one row that is added to all rows, and a matrix are added; then comes a function.
struct CublasEpilogue {
  std::optional<size_t> bias;  // which inputs of the problem they are
  std::optional<size_t> matrix;
  cublasLtEpilogue_t function = CUBLASLT_EPILOGUE_DEFAULT;  // the bias is part of it

  // Why cuBLASLt does not carry it out; nothing where it does, or where there is none.
  static std::optional<std::string> refuses(const KernelProblem& problem);
  static CublasEpilogue of(const KernelProblem& problem);
};

}  // namespace cleave::backend
