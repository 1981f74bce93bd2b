// Elimination of one variable from dense tables: a generalised min-plus product.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cleave::solver {

// out[i] = min(out[i], constant + row[i])
inline void lower_row(double* __restrict out, double constant, const double* __restrict row,
                      size_t size) {
  for (size_t i = 0; i < size; ++i) {
    const double cost = constant + row[i];
    out[i] = cost < out[i] ? cost : out[i];
  }
}

// A table over the eliminated variable (slowest) and some of the remaining ones (row-major).
struct MinPlusOperand {
  std::span<const double> entries;
  std::vector<size_t> dimensions;  // positions in the result's shape, ascending
};

// result[s] = min over v of unary[v] + the sum of operands[v, s]. `shape`: the sizes of the
// remaining variables, at least one, none of them 0.
std::vector<double> min_plus(std::span<const double> unary,
                             const std::vector<MinPlusOperand>& operands,
                             const std::vector<size_t>& shape);

}  // namespace cleave::solver
