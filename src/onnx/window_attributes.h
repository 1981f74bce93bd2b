// The attributes that ONNX's pooling and convolutions share.
#pragma once

#include "onnx/conversion.h"
#include "types/window.h"

namespace cleave::onnx {

// A window over an image with padding around it: `window.low` elements before and `high` behind.
struct PaddedWindow {
  Window window;  // without its outputs
  std::vector<Dim> high;
};

// From `strides`, `dilations`, `pads` and `auto_pad`, of a node whose operand is [n, c, image...].
// SAME pads so that there are ⌈image / stride⌉ windows, as expressions where sizes are symbolic.
PaddedWindow window_of(const Conversion& c, std::vector<Dim> kernel);

// How many windows there are in each dimension; what cannot be proven of the sizes becomes guards.
std::vector<Dim> windows_of(Conversion& c, const PaddedWindow& padded);

// The attributes of an op that moves the window over an image, but for the kernel.
Attributes attributes_of(const Window& window);

}  // namespace cleave::onnx
