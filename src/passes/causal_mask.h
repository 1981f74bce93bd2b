// Masks that let row i see the columns up to i + shift, recognised by what they are made of.
#pragma once

#include "passes/rewriter.h"

namespace cleave::passes {

// Scores that are this low or lower have no weight beside any other: what exporters put, or add,
// where a row may not look.
inline constexpr double kHiddenScore = -1e4;

// The shift where the boolean `mask` [.., rows, columns], the same for all its leading dimensions,
// provably is true for exactly the columns up to row + shift. Knows triangular constants (read up
// to 64 MiB) and slices of them, and comparisons of indices made by iota.
std::optional<Dim> causal_shift(const Rewriter& rewriter, ir::ValueId mask);

// As above for a mask that is true where a row may not look.
std::optional<Dim> hidden_causal_shift(const Rewriter& rewriter, ir::ValueId mask);

// As above for a mask that is added: 0 for those columns, kHiddenScore or less for others.
std::optional<Dim> additive_causal_shift(const Rewriter& rewriter, ir::ValueId mask);

}  // namespace cleave::passes
