// What ops share which move a window over an image: poolings, convolutions.
#pragma once

#include "ops/definition.h"
#include "types/window.h"

namespace cleave::ops {

// The attributes that a Window is read from, but for `kernel`.
std::vector<AttributeField> window_fields();

// Error(kInvalid) naming the op where an attribute does not fit so many `dimensions`: there is an
// entry for each, and sizes and steps are numbers of at least 1.
void check_window(const Window& window, size_t dimensions, std::string_view op);

// How many windows there are in each dimension of an image of these extents that has `window.low`
// and `high` elements of padding around it: ⌊(image + low + high − reach) / stride⌋ + 1.
// Error(kInvalid) where the window is none, or is larger than the padded image; a guard where only
// the sizes at run time tell.
Shape window_extents(const OpContext& context, std::span<const Dim> image, const Window& window,
                     const std::vector<Dim>& high);

// Appends to the rule's first input, of shape `x`, and first output what lies behind batch and
// channels: a factor z, y or x for each dimension of the image, which counts the windows. Where the
// size of a window is not known the factor cannot be split.
void add_window_factors(layout::ShardingRule& rule, const Shape& x, const Window& window);

// What a rank has of the image where a factor of `add_window_factors` is split.
struct WindowShare {
  size_t d = 0;     // the dimension of the image
  Dim outputs;      // windows of the rank
  Dim low;          // counted from the first element that the rank holds
  Dim begin;        // of the elements that it holds; where these are in one piece
  Dim extent;       // how many these are
  bool has_a_halo;  // else each window sees its own element alone, and nothing beside
  // Sets outputs[d] and low[d] of the attributes.
  void set(Attributes& attributes) const;
};
std::optional<WindowShare> window_share(const LocalizeContext& context, const Window& window);

}  // namespace cleave::ops
