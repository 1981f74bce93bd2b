#include "ops/conv/cpu_place_terms.h"

#include <cstring>

namespace cleave::backend {
namespace {

constexpr int64_t kFloat = sizeof(float);
// Lines that are copied for a block with their padding, at most; of more, terms are.
constexpr int64_t kMostLineBytes = int64_t{1} << 20;

// Of a copied row; not a multiple of what shares a set of the cache.
int64_t row_floats(int64_t depth) { return (depth + 15) / 16 * 16 + 16; }

}  // namespace

PlaceTerms::PlaceTerms(const ConvProblem& conv)
    : conv_(conv),
      step_(conv.groups * conv.channels),
      joined_(conv.groups == 1 && conv.axes[2].dilation == 1),
      aliased_(conv.axes[2].stride * step_ * kFloat % kAliasBytes == 0) {
  const auto& [deep, high, wide] = conv.axes;
  const ImageIndex lines = {deep.kernel, high.kernel, joined_ ? 1 : wide.kernel};
  const int64_t length = conv.channels * (joined_ ? wide.kernel : 1);
  const int64_t parts = (length + kBlockDepth - 1) / kBlockDepth;
  int64_t offset = 0;
  for_each_index(lines, [&](const ImageIndex& tap) {
    for (int64_t part = 0; part < parts; ++part) {
      const Range terms = partition(length, parts, part);
      segments_.push_back({tap, terms.begin, terms.size(), offset});
      offset += terms.size();
    }
  });
}

std::pair<int64_t, int64_t> PlaceTerms::term(const Segment& segment, int64_t at) const {
  const auto& axes = conv_.axes;
  const int64_t tap =
      (segment.tap[0] * axes[1].kernel + segment.tap[1]) * axes[2].kernel + segment.tap[2];
  const int64_t term = segment.skip + at;
  return {tap + term / conv_.channels, term % conv_.channels};
}

void PlaceTerms::set_strips(int64_t strips, int64_t places) {
  const WindowAxis& wide = conv_.axes[2];
  const int64_t line = ((places - 1) * wide.stride + wide.kernel) * conv_.channels;
  copies_lines_ = joined_ && !aliased_ && strips * line * kFloat <= kMostLineBytes;
  const int64_t floats =
      copies_lines_ ? line : places * row_floats(std::min(kBlockDepth, line_length()));
  strip_floats_ = (floats + 15) / 16 * 16;
}

Rows PlaceTerms::rows(const float* x, const Strip& strip, const Segment& segment,
                      float* copied) const {
  const auto& [deep, high, wide] = conv_.axes;
  const int64_t z = deep.position(strip.z, segment.tap[0]);
  const int64_t y = high.position(strip.y, segment.tap[1]);
  if (z < 0 || z >= deep.in || y < 0 || y >= high.in) return {};
  const float* line = x + (z * high.in + y) * wide.in * step_;
  const int64_t first = wide.position(strip.x, segment.tap[2]);
  const int64_t taps = joined_ ? wide.kernel : 1;
  const int64_t end = first + (strip.count - 1) * wide.stride + taps;
  const int64_t lda = wide.stride * step_;
  if (!aliased_ && first >= 0 && end <= wide.in) {
    return {line + first * step_ + segment.skip, lda};
  }
  if (copies_lines_) {
    if (segment.skip == 0) copy_pixels(line, first, end, copied);
    return {copied + segment.skip, lda};
  }
  return copy_places(line, first, strip.count, segment, copied);
}

// Pixels [first, end) of a line, zero outside of the image.
void PlaceTerms::copy_pixels(const float* line, int64_t first, int64_t end, float* to) const {
  const int64_t in = conv_.axes[2].in;
  const int64_t begin = std::clamp<int64_t>(0, first, end);
  const int64_t stop = std::clamp(in, begin, end);
  std::fill_n(to, (begin - first) * step_, 0.0f);
  std::memcpy(to + (begin - first) * step_, line + begin * step_,
              static_cast<size_t>((stop - begin) * step_ * kFloat));
  std::fill_n(to + (stop - first) * step_, (end - stop) * step_, 0.0f);
}

Rows PlaceTerms::copy_places(const float* line, int64_t first, int64_t count,
                             const Segment& segment, float* to) const {
  const WindowAxis& wide = conv_.axes[2];
  const int64_t lda = row_floats(segment.depth);
  for (int64_t i = 0; i < count; ++i) {
    float* row = to + i * lda;
    // Terms of the segment inside of the image.
    const int64_t at = first + i * wide.stride;
    int64_t begin = 0;
    int64_t end = at >= 0 && at < wide.in ? segment.depth : 0;
    if (joined_) {
      begin = std::clamp<int64_t>(-at * step_ - segment.skip, 0, segment.depth);
      end = std::clamp<int64_t>((wide.in - at) * step_ - segment.skip, begin, segment.depth);
    }
    std::fill_n(row, begin, 0.0f);
    if (end > begin) {
      std::memcpy(row + begin, line + at * step_ + segment.skip + begin,
                  static_cast<size_t>((end - begin) * kFloat));
    }
    std::fill_n(row + end, segment.depth - end, 0.0f);
  }
  return {to, lda};
}

}  // namespace cleave::backend
