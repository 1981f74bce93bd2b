// The factors that two shapes of equally many elements have in common.
#pragma once

#include "layout/sharding_rule.h"

namespace cleave::ops {

// The rule of a reshape from `from` to `to`: dimensions whose products are provably equal form
// groups, in which the dimensions of both sides are refined to common factors, major to minor.
// Where no common refinement can be proven, what is left has factors that cannot be split.
// Dimensions of 1 are factors of 1 in front of what is behind them.
layout::ShardingRule factorise(const Shape& from, const Shape& to);

}  // namespace cleave::ops
