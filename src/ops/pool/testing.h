// What the tests of pooling share.
#pragma once

#include <string>

#include "types/attributes.h"

namespace cleave::testing {

// The attributes of a pooling; padding counts in averages where `counts_padding`.
inline Attributes pooling(const std::string& op, const Shape& kernel, const Shape& strides,
                          const Shape& dilations, const Shape& low, const Shape& high,
                          bool counts_padding = false) {
  Attributes attributes{{"kernel", kernel},
                        {"strides", strides},
                        {"dilations", dilations},
                        {"low", low},
                        {"high", high}};
  if (op == "average_pool") {
    const Shape none(kernel.size());
    attributes.set("counted_low", counts_padding ? low : none);
    attributes.set("counted_high", counts_padding ? high : none);
  }
  if (op == "lp_pool") attributes.set("p", Dim(2));
  return attributes;
}

}  // namespace cleave::testing
