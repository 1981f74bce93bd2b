// How the operands of a matrix product are walked, whatever kernel carries it out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/index_space.h"
#include "backend/kernel.h"

namespace cleave::backend {

// Operands of `batch_space` and `rows`: a, b, the epilogue's operands, the results.
struct MatmulLayout {
  // Why the operands' shapes do not make a product.
  static std::optional<std::string> refuses(const KernelProblem& problem);
  explicit MatmulLayout(const KernelProblem& problem);

  static size_t a_operand() { return 0; }
  static size_t b_operand() { return 1; }

  DType a_type;
  DType b_type;
  int64_t k = 0;
  int64_t n = 0;
  int64_t batches = 1;     // products with a b each
  IndexSpace batch_space;  // dimensions that b has too
  IndexSpace rows;         // m and, where b is shared, the leading dimensions
  int64_t a_k_stride = 0;
  int64_t b_k_stride = 0;
  int64_t b_n_stride = 0;
  std::vector<int64_t> column_strides;  // along n, of each operand; of a: 0
};

}  // namespace cleave::backend
