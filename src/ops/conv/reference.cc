#include "ops/conv/reference.h"

#include "types/arithmetic.h"
#include "types/window.h"

namespace cleave::ops {
namespace {

int64_t volume(const HostTensor& tensor) {
  int64_t count = 1;
  for (size_t d = 2; d < tensor.shape.size(); ++d) count *= tensor.shape[d];
  return count;
}

}  // namespace

void reference_conv(const Attributes& attributes, const HostTensor& x, const HostTensor& w,
                    HostTensor& y) {
  if (y.elements() == 0) return;
  const Window window = Window::of(attributes, {w.shape.begin() + 2, w.shape.end()});
  const WindowAxes axes =
      window_axes(window, std::span(x.shape).subspan(2), std::span(y.shape).subspan(2));
  const int64_t channels = w.shape[1];
  const int64_t outputs = y.shape[1];
  const int64_t group_outputs = outputs / attributes.integer("groups");
  dispatch_dtype(y.dtype, [&]<class T>() {
    const auto from = x.data<T>();
    const auto weights = w.data<T>();
    const auto to = y.data<T>();
    // The sum over one channel of what a window sees.
    const auto sum_of = [&](const ImageIndex& at, int64_t plane, int64_t taps) {
      Wide<T> sum{};
      int64_t k = 0;
      for_each_index({axes[0].kernel, axes[1].kernel, axes[2].kernel}, [&](const ImageIndex& tap) {
        const int64_t weight = taps + k++;
        int64_t element = 0;
        for (size_t d = 0; d < axes.size(); ++d) {
          const int64_t position = axes[d].position(at[d], tap[d]);
          if (position < 0 || position >= axes[d].in) return;
          element = element * axes[d].in + position;
        }
        sum = combine<Wide<T>>(
            ReduceOp::kSum, sum,
            combine<Wide<T>>(ReduceOp::kProd, widened<Wide<T>>(from[plane + element]),
                             widened<Wide<T>>(weights[weight])));
      });
      return sum;
    };
    int64_t next = 0;
    for (int64_t row = 0; row < y.shape[0] * outputs; ++row) {
      const int64_t o = row % outputs;
      const int64_t first = row / outputs * x.shape[1] + o / group_outputs * channels;
      for_each_index({axes[0].out, axes[1].out, axes[2].out}, [&](const ImageIndex& at) {
        Wide<T> sum{};
        for (int64_t c = 0; c < channels; ++c) {
          sum =
              combine<Wide<T>>(ReduceOp::kSum, sum,
                               sum_of(at, (first + c) * volume(x), (o * channels + c) * volume(w)));
        }
        to[next++] = narrowed<T>(sum);
      });
    }
  });
}

}  // namespace cleave::ops
