// What the CPU's kernels of matmul share: how the operands are walked, and the chain of
// element-wise operations that is carried out on the product while it is in the cache.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/cpu/chain.h"
#include "backend/cpu/index_space.h"
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

// Writes rows of the product to the results, through the chain where there is one.
class MatmulEpilogue {
 public:
  // `product` is the type that rows of the product come in.
  static std::optional<std::string> refuses(const KernelProblem& problem, DType product);
  MatmulEpilogue(const KernelProblem& problem, const MatmulLayout& layout, DType product);

  // `count` elements of one row, from column `first`.
  void run(const void* product, int64_t batch, int64_t row, int64_t first, int64_t count,
           std::span<const void* const> inputs, std::span<void* const> outputs) const;
  // Where float rows of the product can be written as they are: the elements between them.
  std::optional<int64_t> direct_leading() const;
  // Then the address of the element, and `leading`; else null.
  float* direct(std::span<void* const> outputs, int64_t batch, int64_t row, int64_t column,
                int64_t& leading) const;

 private:
  const MatmulLayout& layout_;
  size_t inputs_;
  Chain chain_;
};

}  // namespace cleave::backend
