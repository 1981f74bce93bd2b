#include "ops/window.h"

#include "ops/operands.h"

namespace cleave::ops {
namespace {

void require_entries(const std::vector<Dim>& values, size_t count, int64_t least,
                     const std::string& what) {
  if (values.size() != count) {
    invalid("a window over " + std::to_string(count) + " dimensions has " +
            std::to_string(values.size()) + " " + what);
  }
  for (size_t d = 0; d < count; ++d) {
    if (values[d].bounds({}).high < least) {
      invalid("the " + what + " of a window are " + text_of(values) + ", but must be at least " +
              std::to_string(least));
    }
  }
}

}  // namespace

std::vector<AttributeField> window_fields() {
  using Kind = AttributeField::Kind;
  return {{"strides", Kind::kDims},
          {"dilations", Kind::kDims},
          {"low", Kind::kDims},
          {"high", Kind::kDims}};
}

Shape window_extents(const OpContext& context, std::span<const Dim> image, const Window& window) {
  if (image.empty() || image.size() > kMaxImageDims) {
    invalid("a window moves over 1 to " + std::to_string(kMaxImageDims) + " dimensions, not " +
            std::to_string(image.size()));
  }
  require_entries(window.kernel, image.size(), 1, "kernel sizes");
  require_entries(window.strides, image.size(), 1, "strides");
  require_entries(window.dilations, image.size(), 1, "dilations");
  require_entries(window.low, image.size(), 0, "paddings before the image");
  require_entries(window.high, image.size(), 0, "paddings behind the image");
  Shape extents;
  for (size_t d = 0; d < image.size(); ++d) {
    const Dim padded = image[d] + window.low[d] + window.high[d];
    const Dim room = padded - window.reach(d);
    const Interval bounds = room.bounds({});
    if (bounds.high < 0) {
      invalid("a window of " + window.reach(d).text() +
                  " elements is larger than the padded image, which has " + padded.text() +
                  " in dimension " + std::to_string(d),
              "check kernel_shape, dilations and pads against the size of the input");
    }
    if (bounds.low < 0) {
      context.require_equal(max(room, 0), room,
                            "what a padded image has beyond one window, in dimension " +
                                std::to_string(d) + ", must not be negative");
    }
    extents.push_back(floor_div(room, window.strides[d]) + 1);
  }
  return extents;
}

}  // namespace cleave::ops
