#include "ops/layer_norm/reference.h"

#include "ops/arithmetic.h"
#include "ops/layer_norm/normalised.h"

namespace cleave::ops {

void reference_layer_norm(const Attributes& attributes, const HostTensor& x,
                          const HostTensor* scale, const HostTensor* bias, HostTensor& out) {
  const NormalisedRows rows(x.shape, attributes.integer("axes"));
  const double epsilon = attributes.real("epsilon");
  std::vector<double> values = doubles_of(x);
  for (int64_t r = 0; r < rows.rows; ++r) {
    double* row = values.data() + r * rows.elements;
    double mean = 0;
    for (int64_t i = 0; i < rows.elements; ++i) mean += row[i];
    mean /= static_cast<double>(rows.elements);
    double variance = 0;
    for (int64_t i = 0; i < rows.elements; ++i) variance += (row[i] - mean) * (row[i] - mean);
    variance /= static_cast<double>(rows.elements);
    for (int64_t i = 0; i < rows.elements; ++i) {
      row[i] = (row[i] - mean) / std::sqrt(variance + epsilon);
      if (scale != nullptr) row[i] *= scale->get(i);
      if (bias != nullptr) row[i] += bias->get(i);
    }
  }
  set_doubles(out, values);
}

}  // namespace cleave::ops
