// The type inference that ops share which move a window over an image: pooling, convolution.
#pragma once

#include "ops/definition.h"
#include "types/window.h"

namespace cleave::ops {

// The attributes that a Window is read from, but for `kernel`.
std::vector<AttributeField> window_fields();

// How many windows there are in each dimension of an image of these extents:
// ⌊(image + low + high − reach) / stride⌋ + 1. Error(kInvalid) where the window is none, or is
// larger than the padded image; a guard where only the sizes at run time tell.
Shape window_extents(const OpContext& context, std::span<const Dim> image, const Window& window);

}  // namespace cleave::ops
