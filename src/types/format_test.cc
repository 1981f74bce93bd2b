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

}  // namespace
}  // namespace cleave
