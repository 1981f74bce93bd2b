#include "types/format.h"

#include <gtest/gtest.h>

namespace cleave {
namespace {

TEST(Format, ChannelsLastHasDimensionOneInnermost) {
  const std::vector<int64_t> shape = {2, 3, 4, 5};
  EXPECT_EQ(dense_strides(Format::kRowMajor, shape), (std::vector<int64_t>{60, 20, 5, 1}));
  EXPECT_EQ(dense_strides(Format::kChannelsLast, shape), (std::vector<int64_t>{60, 1, 15, 3}));
  const Dim h = Dim::symbol("h");
  const std::vector<Dim> symbolic = {2, 3, h, 5};
  EXPECT_EQ(dense_strides(Format::kChannelsLast, symbolic), (std::vector<Dim>{h * 15, 1, 15, 3}));
  const std::vector<int64_t> signal = {2, 3, 4};
  EXPECT_EQ(dense_strides(Format::kChannelsLast, signal), (std::vector<int64_t>{12, 1, 3}));
}

TEST(Format, HeadsInsideHasDimensionsOneAndTwoExchanged) {
  const std::vector<int64_t> shape = {2, 3, 4, 5};
  EXPECT_EQ(memory_order(Format::kHeadsInside, 4), (std::vector<size_t>{0, 2, 1, 3}));
  EXPECT_EQ(dense_strides(Format::kHeadsInside, shape), (std::vector<int64_t>{60, 5, 15, 1}));
  const Dim s = Dim::symbol("s");
  const std::vector<Dim> symbolic = {2, 3, s, 5};
  EXPECT_EQ(dense_strides(Format::kHeadsInside, symbolic), (std::vector<Dim>{s * 15, 5, 15, 1}));
  // Heads are the second of four dimensions.
  for (const std::vector<int64_t>& other :
       {std::vector<int64_t>{4}, {4, 5}, {3, 4, 5}, {2, 3, 4, 5, 6}}) {
    EXPECT_EQ(dense_strides(Format::kHeadsInside, other), dense_strides(Format::kRowMajor, other));
  }
}

TEST(Format, NamesAreReadBack) {
  for (const Format format : kFormats) EXPECT_EQ(parse_format(name_of(format)), format);
  EXPECT_EQ(name_of(Format::kHeadsInside), "heads_inside");
  EXPECT_EQ(parse_format("heads"), std::nullopt);
}

TEST(Format, MatricesAndFewerDimensionsHaveOne) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {4}, {4, 5}}) {
    EXPECT_EQ(dense_strides(Format::kChannelsLast, shape), dense_strides(Format::kRowMajor, shape));
  }
}

TEST(Format, DimensionsOfOneElementLieAnywhere) {
  EXPECT_TRUE(has_format(Format::kChannelsLast, std::vector<int64_t>{1, 3, 1, 1},
                         std::vector<int64_t>{99, 1, 7, 7}));
  EXPECT_TRUE(has_format(Format::kRowMajor, std::vector<int64_t>{1, 3, 1, 1},
                         std::vector<int64_t>{99, 1, 7, 7}));
  EXPECT_FALSE(has_format(Format::kRowMajor, std::vector<int64_t>{1, 3, 2, 1},
                          std::vector<int64_t>{6, 1, 3, 3}));
  EXPECT_TRUE(has_format(Format::kRowMajor, std::vector<int64_t>{1, 0, 2, 1},
                         std::vector<int64_t>{6, 1, 3, 3}));
}

TEST(Format, OneHeadAndOnePositionLieAlikeInTwoFormats) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{2, 1, 4, 5}, {2, 3, 1, 5}}) {
    for (const Format format : {Format::kRowMajor, Format::kHeadsInside}) {
      EXPECT_TRUE(has_format(format, shape, dense_strides(Format::kRowMajor, shape)));
      EXPECT_TRUE(has_format(format, shape, dense_strides(Format::kHeadsInside, shape)));
    }
  }
  const std::vector<int64_t> shape = {2, 3, 4, 5};
  EXPECT_FALSE(has_format(Format::kRowMajor, shape, dense_strides(Format::kHeadsInside, shape)));
  EXPECT_FALSE(has_format(Format::kHeadsInside, shape, dense_strides(Format::kRowMajor, shape)));
}

}  // namespace
}  // namespace cleave
