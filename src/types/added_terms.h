// AddedTerms: the chains that libraries carry out behind a product of their own: terms are added to
// it, then one function is taken of the sum.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "types/fused.h"

namespace cleave {

struct AddedTerms {
  std::vector<int32_t> terms;  // operands of the chain, each once; 0, the product, is none of them
  std::string function;        // an op of one operand; empty: the sum itself

  // `chain` as such a sum on rank `rank`: a term of rank 0 alone (`rank_zero`) is none elsewhere.
  // Nothing where it is another chain, where a step has a parameter, or where steps or results are
  // of several types.
  static std::optional<AddedTerms> of(const FusedProgram& chain, int64_t rank);
};

}  // namespace cleave
