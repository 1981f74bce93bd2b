// The image of a convolution as the terms of places, segment by segment: a place's terms lie one
// behind the other in memory, line by line of its window, and places beside each other see lines
// that begin a fixed step apart. Rows are read where they lie but at the borders of the image,
// where lines are copied with their padding.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "backend/cpu/gemm.h"
#include "ops/conv/cpu_epilogue.h"

namespace cleave::backend {

// Places of the result that follow each other along x.
struct Strip {
  int64_t z = 0;
  int64_t y = 0;
  int64_t x = 0;
  int64_t count = 0;
};

// Terms of all places that follow each other in memory, or some of them: those of one line of taps
// along x with their channels, or of one tap where taps do not lie side by side.
struct Segment {
  ImageIndex tap{};  // the first
  int64_t skip = 0;  // terms of the line before it
  int64_t depth = 0;
  int64_t offset = 0;  // terms of all segments before it
};

// Where the rows of a strip begin, and how far apart they lie; none where all terms are padding.
struct Rows {
  const float* a = nullptr;
  int64_t lda = 0;
};

class PlaceTerms {
 public:
  explicit PlaceTerms(const ConvProblem& conv);

  const std::vector<Segment>& segments() const { return segments_; }
  // The term of a segment as (tap, channel).
  std::pair<int64_t, int64_t> term(const Segment& segment, int64_t at) const;
  int64_t step() const { return step_; }

  // For blocks of so many strips, of so many places each.
  void set_strips(int64_t strips, int64_t places);
  // Floats that a strip may be copied into.
  int64_t strip_floats() const { return strip_floats_; }

  // `x` is the first element of the group's channels. Where the strip lies at the border of the
  // image it is copied; `copied` holds what the segment before it left.
  Rows rows(const float* x, const Strip& strip, const Segment& segment, float* copied) const;

 private:
  int64_t line_length() const { return conv_.channels * (joined_ ? conv_.axes[2].kernel : 1); }
  void copy_pixels(const float* line, int64_t first, int64_t end, float* to) const;
  Rows copy_places(const float* line, int64_t first, int64_t count, const Segment& segment,
                   float* to) const;

  const ConvProblem& conv_;
  int64_t step_;  // elements between pixels
  bool joined_;   // taps lie side by side along x with their channels
  bool aliased_;  // rows would share a set of the first-level cache
  bool copies_lines_ = false;
  int64_t strip_floats_ = 0;
  std::vector<Segment> segments_;
};

}  // namespace cleave::backend
