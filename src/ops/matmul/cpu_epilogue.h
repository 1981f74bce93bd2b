// The chain of element-wise operations that the CPU's matrix products carry out on the product
// while it is in the cache.
#pragma once

#include <optional>
#include <string>

#include "backend/cpu/chain.h"
#include "ops/matmul/kernel_layout.h"

namespace cleave::backend {

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
