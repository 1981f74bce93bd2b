// What layer_norm and rms_norm have in common: they normalise the last dimensions of their first
// operand, and the others (scale, bias) run along those.
#pragma once

#include "ops/composite.h"
#include "ops/definition.h"

namespace cleave::ops {

// How many leading dimensions are not normalised; Error(kInvalid) where the attribute `axes` does
// not fit.
size_t leading_dims(const OpContext& context);
// Checks all operands against the first.
void check_normalised(const OpContext& context, std::string_view op);
// Leading dimensions are parallel, normalised ones whole.
layout::ShardingRule normalised_rule(const OpContext& context);

// Splits x into rows of normalised elements.
struct NormalisedRows {
  int64_t rows = 1;
  int64_t elements = 1;
  NormalisedRows(const std::vector<int64_t>& shape, int64_t axes);
};

// The mean of `x` over its dimensions from `leading` on, at every element.
ir::ValueId mean(Composite& c, ir::ValueId x, size_t leading);

}  // namespace cleave::ops
