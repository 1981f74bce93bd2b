// The converters of ops along an axis, on numbers worked out by hand.
#include <gmock/gmock.h>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::testing::HasSubstr;

TEST(OrderingConverters, CumSum) {
  const HostTensor x = floats({2, 2}, {1, 2, 3, 4});
  expect(run("CumSum", 11, {data(x), fixed(integers({}, {-1}))})[0], {2, 2}, {1, 3, 3, 7});
  expect(run("CumSum", 14, {data(x), fixed(integers({1}, {0}))},
             with({{"exclusive", 1}, {"reverse", 1}}))[0],
         {2, 2}, {3, 4, 0, 0});
  EXPECT_EQ(error_of([&] {
              run("CumSum", 14, {data(x), data(integers({}, {0}))});
            }).code(),
            ErrorCode::kUnsupported);
}

TEST(OrderingConverters, TopK) {
  const HostTensor x = floats({4}, {1, 4, 4, -1});
  for (const int opset : {10, 11}) {
    const auto y = run("TopK", opset, {data(x), fixed(integers({1}, {3}))}, {}, 2);
    expect(y[0], {3}, {4, 4, 1});
    expect(y[1], {3}, {1, 2, 0});
  }
  expect(run("TopK", 7, {data(x)}, with({{"k", 1}}), 2)[1], {1}, {1});
  const auto low = run("TopK", 24, {data(x), fixed(integers({1}, {2}))},
                       with({{"largest", 0}, {"sorted", 0}}), 2);
  expect(low[0], {2}, {-1, 1});
  expect(low[1], {2}, {3, 0});
  EXPECT_THAT(error_of([&] {
                run("TopK", 11, {data(x), fixed(integers({1}, {5}))}, {}, 2);
              }).message(),
              HasSubstr("top_k takes 5 of 4 elements"));
}

TEST(OrderingConverters, OneHot) {
  const HostTensor values = floats({2}, {-1, 5});
  const HostTensor i = integers({3}, {1, -1, 7});
  expect(run("OneHot", 11, {data(i), fixed(integers({}, {3})), data(values)})[0], {3, 3},
         {-1, 5, -1, -1, -1, 5, -1, -1, -1});
  expect(run("OneHot", 9, {data(i), fixed(floats({1}, {2})), data(values)}, with({{"axis", 0}}))[0],
         {2, 3}, {-1, -1, -1, 5, 5, -1});
}

TEST(OrderingConverters, ReverseSequence) {
  HostTensor x(DType::kFloat32, {3, 2, 1});
  for (int64_t i = 0; i < 6; ++i) x.set(i, static_cast<double>(i));
  const HostTensor lengths = integers({2}, {3, 2});
  expect(run("ReverseSequence", 10, {data(x), data(lengths)})[0], {3, 2, 1}, {4, 3, 2, 1, 0, 5});
  const HostTensor rows = integers({3}, {2, 1, 0});
  expect(run("ReverseSequence", 10, {data(x), data(rows)},
             with({{"batch_axis", 0}, {"time_axis", 1}}))[0],
         {3, 2, 1}, {1, 0, 2, 3, 4, 5});
  EXPECT_EQ(error_of([&] {
              run("ReverseSequence", 10, {data(x), data(lengths)}, with({{"batch_axis", 2}}));
            }).code(),
            ErrorCode::kInvalid);
}

}  // namespace
}  // namespace cleave::onnx
