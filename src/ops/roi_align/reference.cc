#include "ops/roi_align/reference.h"

#include <algorithm>

#include "types/indexing.h"
#include "types/roi.h"

namespace cleave::ops {
namespace {

// One bin of one channel: f(value) for each weighted element around each of its samples.
template <class F>
void for_each_term(const RoiAxis& down, const RoiAxis& across, int64_t bin_y, int64_t bin_x,
                   const HostTensor& x, int64_t plane, F&& f) {
  for (int64_t i = 0; i < down.samples; ++i) {
    for (int64_t j = 0; j < across.samples; ++j) {
      const auto at_y = roi_sample(down.position(bin_y, i), x.shape[2]);
      const auto at_x = roi_sample(across.position(bin_x, j), x.shape[3]);
      if (!at_y || !at_x) {
        f(0.0);
        continue;
      }
      for (size_t a = 0; a < 2; ++a) {
        for (size_t b = 0; b < 2; ++b) {
          const int64_t element = (plane * x.shape[2] + at_y->at[a]) * x.shape[3] + at_x->at[b];
          f(x.get(element) * at_y->weight[a] * at_x->weight[b]);
        }
      }
    }
  }
}

}  // namespace

void reference_roi_align(const Attributes& attributes, const HostTensor& x, const HostTensor& rois,
                         const HostTensor& images, HostTensor& y) {
  const RoiAlignment alignment = RoiAlignment::of(attributes);
  const IndexRange range = IndexRange::of(attributes, x.shape[0]);
  int64_t next = 0;
  for (int64_t r = 0; r < y.shape[0]; ++r) {
    const int64_t image = range.position(images.get_integer(r));
    const RoiAxis across(alignment, rois.get(4 * r), rois.get(4 * r + 2), y.shape[3]);
    const RoiAxis down(alignment, rois.get(4 * r + 1), rois.get(4 * r + 3), y.shape[2]);
    for (int64_t c = 0; c < y.shape[1]; ++c) {
      for (int64_t bin = 0; bin < y.shape[2] * y.shape[3]; ++bin) {
        double sum = 0;
        std::optional<double> largest;
        if (image >= 0 && x.shape[2] > 0 && x.shape[3] > 0) {
          for_each_term(down, across, bin / y.shape[3], bin % y.shape[3], x, image * x.shape[1] + c,
                        [&](double value) {
                          sum += value;
                          largest = std::max(largest.value_or(value), value);
                        });
        }
        const auto samples =
            static_cast<double>(std::max<int64_t>(1, down.samples * across.samples));
        y.set(next++, alignment.takes_largest ? largest.value_or(0) : sum / samples);
      }
    }
  }
}

}  // namespace cleave::ops
