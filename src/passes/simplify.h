// Simplify: ops that change nothing are dropped, chains of ops that move elements become one, and
// spellings that the recovery of composites and the kernels know replace others.
#pragma once

#include "ops/registry.h"

namespace cleave::passes {

// - Reshapes, transposes, casts, slices, broadcasts, concatenations and splits that give their
//   operand; x * 1, x / 1, x + 0, x - 0 and x to the power of 1.
// - Two of reshape, transpose, broadcast or slice in a row become one; a cast to a wider type and
//   back vanishes.
// - A transpose of the last two dimensions in front of a matrix product becomes its transpose_a or
//   transpose_b. A constant b that is read transposed and by nothing else is stored transposed; one
//   that is the transpose of another constant becomes that one, read transposed.
// - Slices that together are a tensor, cut along one axis, become a split.
// - Guards that are said twice are said once.
bool simplify(ir::Graph& graph, const ops::Registry& registry);

}  // namespace cleave::passes
