// Tensors of indices as linear forms of where an element lies.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// element[i0, i1, …] = Σ coefficients[d] · i_d + constant.
struct IndexForm {
  std::vector<int64_t> coefficients;  // one a dimension; 0 for dimensions of size 1
  Dim constant;
};

// The form of a value that is made of iota, sizes and numbers by sums, differences, broadcasts and
// reshapes that only add or drop dimensions of size 1.
std::optional<IndexForm> index_form(const Rewriter& rewriter, ir::ValueId value, int depth = 16);

}  // namespace cleave::passes
