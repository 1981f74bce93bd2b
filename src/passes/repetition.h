// Whether the values of a tensor provably repeat along its last dimension.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

enum class Repetition {
  kHalves,  // v[.., i] = v[.., i + n/2]
  kPairs,   // v[.., 2i] = v[.., 2i + 1]
};

// Looks through element-wise ops, gathers of rows and what moves whole rows, down to concatenations
// of a value with itself, broadcasts and constants, which are read (up to 64 MiB).
bool repeats(const Rewriter& rewriter, ir::ValueId value, Repetition pattern);

}  // namespace cleave::passes
