#include "types/window.h"

#include <gtest/gtest.h>

namespace cleave {
namespace {

using Values = std::vector<int64_t>;

// Taps and windows against the definition, one by one.
TEST(Window, KnowsWhatIsInside) {
  for (int64_t stride : {1, 2, 5}) {
    for (int64_t dilation : {1, 3}) {
      for (int64_t low : {0, 2, 6}) {
        const WindowAxis axis{5, 6, 3, stride, dilation, low};
        const auto inside = [&](int64_t at, int64_t tap) {
          return axis.position(at, tap) >= 0 && axis.position(at, tap) < axis.in;
        };
        const auto has = [](Range range, int64_t i) { return i >= range.begin && i < range.end; };
        for (int64_t at = 0; at < axis.out; ++at) {
          for (int64_t tap = 0; tap < axis.kernel; ++tap) {
            EXPECT_EQ(has(axis.taps(at), tap), inside(at, tap));
            EXPECT_EQ(has(axis.windows(tap), at), inside(at, tap));
          }
        }
      }
    }
  }
}

TEST(Window, PadsTheAxesInFront) {
  const WindowAxes axes = window_axes({{3}, {2}, {1}, {1}, {0}}, Values{9}, Values{4});
  EXPECT_EQ(axes[0].kernel, 1);
  EXPECT_EQ(axes[1].out, 1);
  EXPECT_EQ(axes[2].in, 9);
  EXPECT_EQ(axes[2].low, 1);
}

}  // namespace
}  // namespace cleave
