// The attributes that ONNX's pooling and convolutions share.
#pragma once

#include "onnx/conversion.h"
#include "types/window.h"

namespace cleave::onnx {

// From `strides`, `dilations`, `pads` and `auto_pad`, of a node whose operand is [n, c, image...].
// SAME pads so that there are ⌈image / stride⌉ windows, as expressions where sizes are symbolic.
Window window_of(const Conversion& c, std::vector<Dim> kernel);

}  // namespace cleave::onnx
