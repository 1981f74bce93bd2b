#include "ops/layer_norm/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {

void reference_normalisation(const Attributes& attributes, bool centred, const HostTensor& x,
                             const HostTensor* scale, const HostTensor* bias, HostTensor& out) {
  const size_t leading = x.shape.size() - static_cast<size_t>(attributes.integer("axes"));
  int64_t rows = 1;
  int64_t elements = 1;
  for (size_t d = 0; d < x.shape.size(); ++d) (d < leading ? rows : elements) *= x.shape[d];
  const double epsilon = attributes.real("epsilon");
  std::vector<double> values = doubles_of(x);
  for (int64_t r = 0; r < rows; ++r) {
    const std::span<double> row(values.data() + r * elements, static_cast<size_t>(elements));
    double mean = 0;
    if (centred) {
      for (const double value : row) mean += value;
      mean /= static_cast<double>(elements);
    }
    double variance = 0;
    for (const double value : row) variance += (value - mean) * (value - mean);
    variance /= static_cast<double>(elements);
    for (int64_t i = 0; i < elements; ++i) {
      double& value = row[static_cast<size_t>(i)];
      value = (value - mean) / std::sqrt(variance + epsilon);
      if (scale != nullptr) value *= scale->get(i);
      if (bias != nullptr) value += bias->get(i);
    }
  }
  set_doubles(out, values);
}

}  // namespace cleave::ops
