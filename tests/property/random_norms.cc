// Random normalisations. Their results are rounded, but which of them are 0 and which sign the
// others have is certain: of n integers up to 8 one that is not their mean is at least 1 / n away
// from it, and √(variance + ε) is at most √(64 + ε). With n ≤ 2^9 and ε = 1 what is not 0 is thus
// above 2^-9 / √65 > 2^-13, while what is 0 comes out of float32 as some roundings of 8: below
// 2^-18.
#include "tests/property/random_values.h"

namespace cleave::testing {
namespace {

constexpr int64_t kMostElements = int64_t{1} << 9;
constexpr double kAboveOne = 1 << 13;  // times what is not 0

// -1, 0 or 1 for each element.
void make_signs(RandomValues& values, ir::ValueId y) {
  const RandomValues::Known signs = values.clipped(values.times(y, kAboveOne), 1);
  values.made(values.op("round", {}, {signs.id}), 1);
}

// Parameters with neither zeros nor offsets, which would hide signs.
ir::ValueId scale_of(RandomValues& values, const Dim& size) {
  HostTensor scale(DType::kFloat32, {size.constant()});
  for (int64_t i = 0; i < scale.elements(); ++i) scale.set(i, values.chance(50) ? 1 : -2);
  return values.model.graph.add_constant("w" + std::to_string(values.next++),
                                         ir::constant_value(scale));
}

void add_group_norm(RandomValues& values, ir::ValueId x, const Shape& shape) {
  if (shape.size() < 3) return;
  for (size_t d = 1; d < shape.size(); ++d) {
    if (!shape[d].is_constant() || shape[d].is(0)) return;
  }
  const int64_t channels = shape[1].constant();
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= channels; ++d) {
    if (channels % d == 0) divisors.push_back(d);
  }
  const int64_t each = values.of(divisors);
  if ((product(std::span(shape).subspan(2)) * each).constant() > kMostElements) return;
  const ir::ValueId scale = scale_of(values, shape[1]);
  const RandomValues::Known bias = values.constant({shape[1]}, 0);
  make_signs(values, values.op("group_norm", {{"group_channels", Dim(each)}, {"epsilon", 1.0}},
                               {x, scale, bias.id}));
}

void add_layer_norm(RandomValues& values, ir::ValueId x, const Shape& shape) {
  const Dim& last = shape.back();
  if (!last.is_constant() || last.is(0) || last.constant() > kMostElements) return;
  make_signs(values, values.op("layer_norm", {{"axes", Dim(1)}, {"epsilon", 1.0}},
                               {x, scale_of(values, last)}));
}

}  // namespace

void add_normalised(RandomValues& values) {
  const RandomValues::Known x = values.clipped(values.pick().id, 8);
  const Shape shape = values.shape(x);
  if (values.chance(60)) return add_group_norm(values, x.id, shape);
  add_layer_norm(values, x.id, shape);
}

}  // namespace cleave::testing
