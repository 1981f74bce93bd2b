// The converters of ops that take indices, on numbers worked out by hand.
#include <gmock/gmock.h>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::HasSubstr;

Edit along(int64_t axis, const char* reduction = nullptr) {
  return [=](NodeProto& node) {
    set(node, "axis", axis);
    if (reduction) set(node, "reduction", reduction);
  };
}

TEST(IndexingConverters, GatherElements) {
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor i = integers({2, 1}, {-1, 0});
  expect(run("GatherElements", 13, {data(x), data(i)}, along(1))[0], {2, 1}, {3, 4});
  // Indices for the first column only.
  expect(run("GatherElements", 11, {data(x), data(i)})[0], {2, 1}, {4, 1});
  EXPECT_EQ(error_of([&] {
              run("GatherElements", 13, {data(x), data(integers({1, 4}, {0, 0, 0, 0}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(IndexingConverters, ScatterElements) {
  const HostTensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor i = integers({1, 2}, {-1, 0});
  const HostTensor u = floats({1, 2}, {10, 20});
  // The second row has no indices.
  for (const auto& [op, opset] : std::initializer_list<std::pair<const char*, int>>{
           {"Scatter", 9}, {"ScatterElements", 11}}) {
    expect(run(op, opset, {data(x), data(i), data(u)}, along(1))[0], {2, 3}, {20, 2, 10, 4, 5, 6});
  }
  const std::pair<const char*, Values> rows[] = {{"none", {20, 2, 10, 4, 5, 6}},
                                                 {"add", {21, 2, 13, 4, 5, 6}},
                                                 {"mul", {20, 2, 30, 4, 5, 6}},
                                                 {"max", {20, 2, 10, 4, 5, 6}},
                                                 {"min", {1, 2, 3, 4, 5, 6}}};
  for (const auto& [reduction, values] : rows) {
    expect(run("ScatterElements", 18, {data(x), data(i), data(u)}, along(1, reduction))[0], {2, 3},
           values);
  }
  EXPECT_THAT(error_of([&] {
                run("ScatterElements", 18, {data(x), data(i), data(u)}, along(1, "mean"));
              }).message(),
              HasSubstr("no reduction 'mean'"));
}

TEST(IndexingConverters, GatherNd) {
  const HostTensor x = floats({2, 2}, {1, 2, 3, 4});
  expect(run("GatherND", 11, {data(x), data(integers({2, 2}, {0, 1, -1, 0}))})[0], {2}, {2, 3});
  const Edit batch = [](NodeProto& node) { set(node, "batch_dims", int64_t{1}); };
  expect(run("GatherND", 13, {data(x), data(integers({2, 1}, {1, 0}))}, batch)[0], {2}, {2, 3});
  EXPECT_EQ(error_of([&] {
              run("GatherND", 13, {data(x), data(integers({2, 3}, {0, 0, 0, 0, 0, 0}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(IndexingConverters, ScatterNd) {
  const HostTensor x = floats({3}, {1, 2, 3});
  const HostTensor i = integers({2, 1}, {2, 2});
  const HostTensor u = floats({2}, {10, 20});
  expect(run("ScatterND", 11, {data(x), data(i), data(u)})[0], {3}, {1, 2, 20});
  const Edit add = [](NodeProto& node) { set(node, "reduction", "add"); };
  expect(run("ScatterND", 16, {data(x), data(i), data(u)}, add)[0], {3}, {1, 2, 33});
}

}  // namespace
}  // namespace cleave::onnx
