#include "ops/conv/reference.h"

#include <array>

#include "ops/conv/geometry.h"
#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

using Place = std::array<int64_t, 3>;  // z, y, x

// One or two dimensions are three with leading ones of extent 1.
Place as_three(std::span<const int64_t> values, int64_t otherwise) {
  Place place;
  place.fill(otherwise);
  std::copy(values.begin(), values.end(), place.end() - static_cast<ptrdiff_t>(values.size()));
  return place;
}

Place image_of(const HostTensor& tensor) { return as_three(std::span(tensor.shape).subspan(2), 1); }

template <class F>
void for_each_place(const Place& extents, const F& f) {
  for (int64_t z = 0; z < extents[0]; ++z) {
    for (int64_t y = 0; y < extents[1]; ++y) {
      for (int64_t x = 0; x < extents[2]; ++x) f(Place{z, y, x});
    }
  }
}

int64_t index(const Place& at, const Place& extents) {
  return (at[0] * extents[1] + at[1]) * extents[2] + at[2];
}

}  // namespace

void reference_conv(const Attributes& attributes, const HostTensor& x, const HostTensor& w,
                    HostTensor& y) {
  const ConvGeometry geometry(attributes, x.shape.size() - 2);
  const Place stride = as_three(geometry.strides, 1);
  const Place dilation = as_three(geometry.dilations, 1);
  const Place low = as_three(evaluate(geometry.low, {}), 0);
  const Place in = image_of(x);
  const Place taps = image_of(w);
  const Place out = image_of(y);
  const int64_t in_size = in[0] * in[1] * in[2];
  const int64_t tap_count = taps[0] * taps[1] * taps[2];
  const int64_t out_size = out[0] * out[1] * out[2];
  const int64_t channels = w.shape[1];
  const int64_t outputs = y.shape[1];
  if (y.elements() == 0) return;
  const int64_t group_outputs = outputs / geometry.groups.constant();
  dispatch_dtype(y.dtype, [&]<class T>() {
    const auto from = x.data<T>();
    const auto weights = w.data<T>();
    const auto to = y.data<T>();
    for (int64_t row = 0; row < y.shape[0] * outputs; ++row) {
      const int64_t o = row % outputs;
      const int64_t first_channel = row / outputs * x.shape[1] + o / group_outputs * channels;
      for_each_place(out, [&](const Place& u) {
        Wide<T> sum{};
        for (int64_t c = 0; c < channels; ++c) {
          for_each_place(taps, [&](const Place& k) {
            Place at;
            for (size_t d = 0; d < 3; ++d) {
              at[d] = u[d] * stride[d] + k[d] * dilation[d] - low[d];
              if (at[d] < 0 || at[d] >= in[d]) return;
            }
            const auto p = widened<Wide<T>>(from[(first_channel + c) * in_size + index(at, in)]);
            const auto q =
                widened<Wide<T>>(weights[(o * channels + c) * tap_count + index(k, taps)]);
            sum = combine<Wide<T>>(ReduceOp::kSum, sum, combine<Wide<T>>(ReduceOp::kProd, p, q));
          });
        }
        to[row * out_size + index(u, out)] = narrowed<T>(sum);
      });
    }
  });
}

}  // namespace cleave::ops
