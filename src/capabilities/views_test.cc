#include "capabilities/views.h"

#include <gtest/gtest.h>

namespace cleave::capabilities {
namespace {

const Dim n = Dim::symbol("n");

View view(std::vector<Dim> strides) { return {ir::ValueId(0), 0, std::move(strides)}; }

TEST(Views, DenseIsRowMajorWithoutGaps) {
  const Shape shape{4, 1, n};
  EXPECT_TRUE(is_dense(view(dense_strides(Format::kRowMajor, shape)), shape));
  EXPECT_TRUE(is_dense(view({n, 7, 1}), shape));  // a dimension of 1 lies anywhere
  EXPECT_FALSE(is_dense(view({n * 2, n, 1}), shape));
  EXPECT_TRUE(is_dense(view({}), Shape{}));
}

TEST(Views, AProductReadsRowsWhereverTheyLie) {
  const auto backend = cpu();
  const Shape shape{4, n};
  const auto takes = [&](size_t input, const View& lies) {
    return reads(*backend, "matmul", input, lies, shape);
  };
  for (size_t input : {0, 1, 2}) {
    EXPECT_TRUE(takes(input, view({n, 1})));
    EXPECT_TRUE(takes(input, view({n * 3, 1})));
  }
  EXPECT_FALSE(takes(0, view({1, 4})));
  EXPECT_FALSE(takes(0, view({n * 2, 2})));
  EXPECT_TRUE(takes(1, view({1, 4})));
  EXPECT_TRUE(reads(*backend, "matmul", 0, view({1, 4}), Shape{4, 1}));
}

TEST(Views, CublasReadsTransposedMatricesAsWell) {
  const auto backend = of_backend("cuda");
  const Shape shape{2, 4, n};
  const auto takes = [&](size_t input, std::vector<Dim> strides) {
    return reads(*backend, "matmul", input, view(std::move(strides)), shape);
  };
  for (size_t input : {0, 1}) {
    EXPECT_TRUE(takes(input, {n * 4, 1, 4}));
    EXPECT_TRUE(takes(input, {1, 1, 8}));
    EXPECT_FALSE(takes(input, {n * 8, 2, 8}));
    EXPECT_FALSE(takes(input, {4, 1, 0}));  // stretched: rows that are no matrix
  }
  EXPECT_FALSE(takes(2, {n * 4, 1, 4}));  // what is added lies as the result
}

TEST(Views, OthersReadWhatIsDense) {
  const auto backend = cpu();
  const Shape shape{4, n};
  EXPECT_TRUE(reads(*backend, "softmax", 0, view({n, 1}), shape));
  EXPECT_FALSE(reads(*backend, "softmax", 0, view({n * 2, 1}), shape));
  EXPECT_TRUE(reads(*backend, "attention", 2, view({1, 4}), shape));
}

}  // namespace
}  // namespace cleave::capabilities
