#include "ops/conv/geometry.h"

#include "ops/operands.h"

namespace cleave::ops {
namespace {

std::vector<int64_t> positive(const Attributes& attributes, const char* name, size_t dimensions) {
  const std::vector<int64_t> values = attributes.integers(name);
  if (values.size() != dimensions) {
    invalid("the " + std::string(name) + " of a convolution are " + std::to_string(values.size()) +
            ", but it has " + std::to_string(dimensions) + " dimension(s)");
  }
  constexpr int64_t kMost = int64_t{1} << 31;
  for (const int64_t value : values) {
    if (value < 1 || value > kMost) {
      invalid(
          "the " + std::string(name) + " of a convolution have the value " + std::to_string(value),
          "they have to be between 1 and 2^31");
    }
  }
  return values;
}

std::vector<Dim> extents(const Attributes& attributes, const char* name, size_t dimensions) {
  std::vector<Dim> values = attributes.dims(name);
  if (values.size() != dimensions) {
    invalid("a convolution over " + std::to_string(dimensions) + " dimension(s) has " +
            std::to_string(values.size()) + " value(s) for '" + name + "'");
  }
  return values;
}

}  // namespace

ConvGeometry::ConvGeometry(const Attributes& attributes, size_t dimensions)
    : strides(positive(attributes, "strides", dimensions)),
      dilations(positive(attributes, "dilations", dimensions)),
      low(extents(attributes, "low", dimensions)),
      outputs(extents(attributes, "outputs", dimensions)),
      groups(attributes.dim("groups")) {
  if (groups.is_constant() && groups.constant() < 0) invalid("a convolution has no group");
}

std::optional<layout::WindowUse> ConvGeometry::window(size_t d, const Dim& extent,
                                                      int64_t taps) const {
  const int64_t size = checked_add(checked_mul(taps - 1, dilations[d]), 1);
  if (strides[d] == 1 && size == 1 && low[d].is(0) && outputs[d] == extent) return std::nullopt;
  return layout::WindowUse{.extent = extent, .stride = strides[d], .before = low[d], .size = size};
}

}  // namespace cleave::ops
