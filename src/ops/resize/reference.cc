#include "ops/resize/reference.h"

#include "ops/operands.h"
#include "types/arithmetic.h"
#include "types/resize_taps.h"

namespace cleave::ops {
namespace {

// `values` of `shape` with dimension `axis` made anew by `taps`. One tap copies.
template <class A>
std::vector<A> resized(const std::vector<A>& values, const std::vector<int64_t>& shape, size_t axis,
                       const ResizeTaps& taps, A extrapolation) {
  const AxisView from(shape, axis);
  std::vector<A> result;
  for (int64_t o = 0; o < from.outer; ++o) {
    for (size_t e = 0; e < taps.outside.size(); ++e) {
      for (int64_t i = 0; i < from.inner; ++i) {
        A sum{};
        for (size_t tap = e * static_cast<size_t>(taps.count);
             tap < (e + 1) * static_cast<size_t>(taps.count); ++tap) {
          const A value = values[static_cast<size_t>(from.index(o, taps.source[tap], i))];
          sum = taps.count == 1 ? value : static_cast<A>(sum + value * taps.weight[tap]);
        }
        result.push_back(taps.outside[e] ? extrapolation : sum);
      }
    }
  }
  return result;
}

template <class A>
std::vector<A> resize_all(const Attributes& attributes, std::vector<A> values,
                          std::vector<int64_t> shape, const std::vector<int64_t>& result) {
  const auto extrapolation = static_cast<A>(attributes.real("extrapolation", 0));
  const std::vector<int64_t> axes = attributes.integers("axes");
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    if (shape[axis] == 0) {
      if (result[axis] != 0) invalid("a dimension of no elements cannot be resized");
      continue;
    }
    const ResizeTaps taps = resize_taps(attributes, i, shape[axis], result[axis]);
    values = resized(values, shape, axis, taps, extrapolation);
    shape[axis] = result[axis];
  }
  return values;
}

}  // namespace

void reference_resize(const Attributes& attributes, const HostTensor& x, HostTensor& y) {
  if (is_floating(x.dtype)) {
    set_doubles(y, resize_all(attributes, doubles_of(x), x.shape, y.shape));
    return;
  }
  std::vector<int64_t> values;
  for (int64_t i = 0; i < x.elements(); ++i) values.push_back(x.get_integer(i));
  values = resize_all(attributes, std::move(values), x.shape, y.shape);
  for (int64_t i = 0; i < y.elements(); ++i) y.set_integer(i, values[static_cast<size_t>(i)]);
}

}  // namespace cleave::ops
