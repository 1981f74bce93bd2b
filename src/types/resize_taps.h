// Which elements of the operand make each element of a resized dimension, and by how much.
#pragma once

#include <cstdint>
#include <vector>

#include "types/attributes.h"

namespace cleave {

struct ResizeTaps {
  int64_t count = 1;            // of each element of the result
  std::vector<int64_t> source;  // [element · count + tap], inside of the operand
  std::vector<double> weight;   // of each; their sum is 1
  std::vector<bool> outside;    // [element]: it is the value `extrapolation`
};

// Of the i-th of the attribute `axes`, where the operand has `in` > 0 and the result `out`
// elements. The formulas are those of ONNX's Resize. Error(kInvalid) where an attribute has no such
// value. Operand and result may be parts of larger ones: the attributes `whole_in` and `whole_out`
// are the extents of these by axis, and `begin_in` and `begin_out` where the parts begin.
ResizeTaps resize_taps(const Attributes& attributes, size_t i, int64_t in, int64_t out);

// Which element an interpolation takes first, counted from the one before its position; it takes
// as many before the position as behind.
int64_t first_resize_tap(const Attributes& attributes, double scale);

// A position k / n, of whole numbers with n up to this, is told from every half that it is not.
inline constexpr int64_t kMostExactSteps = 32;

// Error(kInvalid) where one of mode, coordinates and rounding is not known.
void check_resize_modes(const Attributes& attributes);

}  // namespace cleave
