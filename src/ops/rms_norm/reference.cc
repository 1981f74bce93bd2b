#include "ops/rms_norm/reference.h"

#include "ops/arithmetic.h"
#include "ops/layer_norm/normalised.h"

namespace cleave::ops {

void reference_rms_norm(const Attributes& attributes, const HostTensor& x, const HostTensor* scale,
                        HostTensor& out) {
  const NormalisedRows rows(x.shape, attributes.integer("axes"));
  const double epsilon = attributes.real("epsilon");
  std::vector<double> values = doubles_of(x);
  for (int64_t r = 0; r < rows.rows; ++r) {
    double* row = values.data() + r * rows.elements;
    double square = 0;
    for (int64_t i = 0; i < rows.elements; ++i) square += row[i] * row[i];
    square /= static_cast<double>(rows.elements);
    for (int64_t i = 0; i < rows.elements; ++i) {
      row[i] /= std::sqrt(square + epsilon);
      if (scale != nullptr) row[i] *= scale->get(i);
    }
  }
  set_doubles(out, values);
}

}  // namespace cleave::ops
