// What the tests of pooling share.
#pragma once

#include <string>

#include "types/attributes.h"

namespace cleave::testing {

// The attributes of a pooling of an image with `low` and `high` elements of padding around it,
// which count in averages where `counts_padding`.
inline Attributes pooling(const std::string& op, const Shape& image, const Shape& kernel,
                          const Shape& strides, const Shape& dilations, const Shape& low,
                          const Shape& high, bool counts_padding = false) {
  Shape outputs;
  for (size_t d = 0; d < image.size(); ++d) {
    const Dim room = image[d] + low[d] + high[d] - (kernel[d] - 1) * dilations[d] - 1;
    outputs.push_back(floor_div(room, strides[d]) + 1);
  }
  Attributes attributes{{"kernel", kernel},
                        {"strides", strides},
                        {"dilations", dilations},
                        {"low", low},
                        {"outputs", outputs}};
  if (op == "average_pool") {
    const Shape none(kernel.size());
    attributes.set("counted_low", counts_padding ? low : none);
    attributes.set("counted_high", counts_padding ? high : none);
  }
  if (op == "lp_pool") attributes.set("p", Dim(2));
  return attributes;
}

}  // namespace cleave::testing
