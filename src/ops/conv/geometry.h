// Where a convolution's window lies.
#pragma once

#include <optional>
#include <vector>

#include "layout/sharding_rule.h"
#include "types/attributes.h"

namespace cleave::ops {

// The attributes of conv, one entry a dimension that the window slides along.
struct ConvGeometry {
  std::vector<int64_t> strides;    // ≥ 1
  std::vector<int64_t> dilations;  // ≥ 1
  std::vector<Dim> low;            // zeros before the first element
  std::vector<Dim> outputs;        // extents of the result; what lies behind the last element is 0
  Dim groups;

  // Error(kInvalid) where an attribute does not fit `dimensions`.
  ConvGeometry(const Attributes& attributes, size_t dimensions);

  // What output u of dimension d sees of `extent` elements through `taps` taps; nullopt where it
  // sees element u alone, and there are as many: the dimensions are cut alike.
  std::optional<layout::WindowUse> window(size_t d, const Dim& extent, int64_t taps) const;
};

}  // namespace cleave::ops
