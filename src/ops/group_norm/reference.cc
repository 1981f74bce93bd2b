#include "ops/group_norm/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {

void reference_group_norm(const Attributes& attributes, const HostTensor& x,
                          const HostTensor& scale, const HostTensor& bias, HostTensor& y) {
  const AxisView view(x.shape, 1);
  const int64_t channels = attributes.integer("group_channels");
  const int64_t elements = channels * view.inner;
  std::vector<double> values = doubles_of(x);
  for (int64_t g = 0; g < view.outer * view.extent / channels; ++g) {
    const std::span<double> group(values.data() + g * elements, static_cast<size_t>(elements));
    double mean = 0;
    for (const double value : group) mean += value / static_cast<double>(elements);
    double variance = 0;
    for (const double value : group) {
      variance += (value - mean) * (value - mean) / static_cast<double>(elements);
    }
    for (int64_t i = 0; i < elements; ++i) {
      const int64_t channel = (g * channels + i / view.inner) % view.extent;
      double& value = group[static_cast<size_t>(i)];
      value = (value - mean) / std::sqrt(variance + attributes.real("epsilon"));
      value = value * scale.get(channel) + bias.get(channel);
    }
  }
  set_doubles(y, values);
}

}  // namespace cleave::ops
