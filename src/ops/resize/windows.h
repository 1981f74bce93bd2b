// What the elements of a resized dimension are made from, as a sharding rule says it.
#pragma once

#include <optional>

#include "layout/sharding_rule.h"
#include "types/attributes.h"

namespace cleave::ops {

// How the i-th of the attribute `axes` may be split, where the operand has `in` elements and the
// result `out`.
struct ResizeSplit {
  // Each element of the operand stands for so many of the result, one after the other: an element
  // is split with what stands for it.
  std::optional<int64_t> copies;
  // Else what an element of the result is made from.
  std::optional<layout::WindowUse> window;
};

// Neither where the step from one element of the result to the next is not known as a quotient of
// two numbers, or what is taken lies beyond the operand.
ResizeSplit resize_split(const Attributes& attributes, size_t i, const Dim& in, const Dim& out);

}  // namespace cleave::ops
