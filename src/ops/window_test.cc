#include "ops/window.h"

#include <gtest/gtest.h>

#include "tests/support/error_of.h"

namespace cleave::ops {
namespace {

const Dim n = Dim::symbol("n");
const Attributes kNone;

struct Padded {
  Window window;
  std::vector<Dim> high;
};

Shape extents_of(const Shape& image, const Padded& p, std::vector<SizeGuard>* guards = {}) {
  return window_extents({.attributes = kNone, .inputs = {}, .guards = guards}, image, p.window,
                        p.high);
}

Padded line(Dim kernel, Dim stride, Dim dilation, Dim low, Dim high) {
  return {{{kernel}, {stride}, {dilation}, {low}, {}}, {high}};
}

TEST(Window, CountsItsPlaces) {
  EXPECT_EQ(extents_of({7}, line(3, 1, 1, 0, 0)), Shape{5});
  EXPECT_EQ(extents_of({7}, line(3, 2, 1, 1, 1)), Shape{4});
  EXPECT_EQ(extents_of({7}, line(3, 2, 3, 0, 1)), Shape{1});
  EXPECT_EQ(extents_of({8, 9, 10}, {{{2, 3, 4}, {2, 3, 1}, {1, 1, 1}, {0, 0, 0}, {}}, {0, 0, 0}}),
            (Shape{4, 3, 7}));
  EXPECT_EQ(extents_of({n}, line(3, 1, 1, 1, 1)), Shape{n});
  EXPECT_EQ(extents_of({n * 2}, line(2, 2, 1, 0, 0)), Shape{n});
}

TEST(Window, GuardsThatItFits) {
  std::vector<SizeGuard> guards;
  extents_of({n}, line(3, 1, 1, 0, 0), &guards);
  ASSERT_EQ(guards.size(), 1u);
  EXPECT_EQ(guards[0].a.evaluate({{"n", 3}}), guards[0].b.evaluate({{"n", 3}}));
  EXPECT_NE(guards[0].a.evaluate({{"n", 2}}), guards[0].b.evaluate({{"n", 2}}));
  extents_of({n}, line(3, 1, 1, 2, 1), &guards);
  EXPECT_EQ(guards.size(), 1u);
}

TEST(Window, SaysWhatDoesNotFit) {
  const auto message = [](const Shape& image, const Padded& padded) {
    return error_of([&] { extents_of(image, padded); }).message();
  };
  EXPECT_EQ(message({4}, line(3, 1, 2, 0, 0)),
            "a window of 5 elements is larger than the padded image, which has 4 in dimension 0");
  EXPECT_EQ(message({4}, line(3, 0, 1, 0, 0)),
            "the strides of a window are [0], but must be at least 1");
  EXPECT_EQ(message({4}, line(0, 1, 1, 0, 0)),
            "the kernel sizes of a window are [0], but must be at least 1");
  EXPECT_EQ(message({4}, line(1, 1, 0, 0, 0)),
            "the dilations of a window are [0], but must be at least 1");
  EXPECT_EQ(message({4}, line(1, 1, 1, -1, 0)),
            "the paddings before the image of a window are [-1], but must be at least 0");
  EXPECT_EQ(message({4}, line(1, 1, 1, 0, -2)),
            "the paddings behind the image of a window are [-2], but must be at least 0");
  EXPECT_EQ(message({4, 4}, line(1, 1, 1, 0, 0)), "a window over 2 dimensions has 1 kernel sizes");
  EXPECT_EQ(message({1, 1, 1, 1}, line(1, 1, 1, 0, 0)),
            "a window moves over 1 to 3 dimensions, not 4");
  EXPECT_NE(message({4}, line(INT64_MAX, 1, INT64_MAX, 0, 0)), "");
  EXPECT_NE(message({4}, line(1, 1, 1, INT64_MAX, INT64_MAX)), "");
}

}  // namespace
}  // namespace cleave::ops
