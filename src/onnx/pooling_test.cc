// The poolings of ONNX: every form of padding, also over symbolic sizes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::HasSubstr;
using Ints = std::vector<int64_t>;

HostTensor counting(std::vector<int64_t> shape) {
  HostTensor x(DType::kFloat32, std::move(shape));
  for (int64_t i = 0; i < x.elements(); ++i) x.set(i, static_cast<double>(i + 1));
  return x;
}

Edit window(Ints kernel, Ints strides, const Edit& more = {}) {
  return [=](NodeProto& node) {
    set(node, "kernel_shape", kernel);
    set(node, "strides", strides);
    if (more) more(node);
  };
}

Edit automatic(const char* how) {
  return [how](NodeProto& node) { set(node, "auto_pad", how); };
}

TEST(Pooling, MaximaOfEveryOperatorSet) {
  for (const int64_t opset : {7, 10, 12, 22}) {
    expect(run("MaxPool", opset, {data(counting({1, 1, 4, 4}))}, window({2, 2}, {2, 2}))[0],
           {1, 1, 2, 2}, {6, 8, 14, 16});
  }
  expect(run("MaxPool", 12, {data(tensor_of(DType::kUInt8, {1, 1, 3}, {7, 200, 3}))},
             window({2}, {1}))[0],
         {1, 1, 2}, {200, 200});
}

TEST(Pooling, AutomaticPadding) {
  const HostTensor x = counting({1, 1, 4});
  const auto pooled = [&](const char* how, int64_t kernel, int64_t stride) {
    return values_of(run("MaxPool", 12, {data(x)}, window({kernel}, {stride}, automatic(how)))[0]);
  };
  EXPECT_EQ(pooled("SAME_UPPER", 2, 1), (Values{2, 3, 4, 4}));
  EXPECT_EQ(pooled("SAME_LOWER", 2, 1), (Values{1, 2, 3, 4}));
  EXPECT_EQ(pooled("SAME_UPPER", 1, 3), (Values{1, 4}));
  EXPECT_EQ(pooled("VALID", 3, 1), (Values{3, 4}));
  EXPECT_EQ(pooled("NOTSET", 3, 2), (Values{3}));
  EXPECT_THAT(error_of([&] { pooled("SAME", 3, 1); }).message(), HasSubstr("auto_pad is 'SAME'"));
  EXPECT_EQ(error_of([&] { pooled("SAME_UPPER", 3, 0); }).code(), ErrorCode::kInvalid);
}

TEST(Pooling, AutomaticPaddingOfSymbolicSizes) {
  const auto extent = [](const char* how, Ints kernel, Ints strides) {
    TestModel model;
    model.input("x", {1, 3, "h"}).output("y");
    NodeProto& node = model.node("MaxPool", {"x"}, {"y"});
    window(std::move(kernel), std::move(strides), automatic(how))(node);
    const ir::Graph graph = model.load();
    return graph.type(graph.outputs()[0]).shape[2];
  };
  const Dim h = Dim::symbol("h");
  EXPECT_EQ(extent("SAME_UPPER", {3}, {2}), ceil_div(h, 2));
  EXPECT_EQ(extent("SAME_LOWER", {4}, {1}), h);
  EXPECT_EQ(extent("VALID", {3}, {1}), h - 2);
  for (const int64_t size : {3, 4, 5, 6}) {
    EXPECT_EQ(extent("SAME_UPPER", {1}, {3}).evaluate({{"h", size}}), (size + 2) / 3);
  }
}

TEST(Pooling, CeilModeAddsAWindowThatBeginsInside) {
  const auto ceil = [](Ints pads, int64_t counts) {
    return [=](NodeProto& node) {
      set(node, "ceil_mode", int64_t{1});
      if (!pads.empty()) set(node, "pads", pads);
      if (counts != 0) set(node, "count_include_pad", counts);
    };
  };
  const HostTensor x = counting({1, 1, 4});
  const auto pooled = [&](const char* op, Ints kernel, Ints strides, const Edit& more) {
    return values_of(run(op, 19, {data(x)}, window(kernel, strides, more))[0]);
  };
  EXPECT_EQ(pooled("MaxPool", {3}, {2}, ceil({}, 0)), (Values{3, 4}));
  EXPECT_EQ(pooled("AveragePool", {3}, {2}, ceil({}, 0)), (Values{2, 3.5}));
  // The padding counts, what lies beyond it does not.
  EXPECT_EQ(pooled("AveragePool", {4}, {4}, ceil({1, 1}, 1)), (Values{1.5, 2}));
  // A third window would begin in the padding behind the image.
  EXPECT_EQ(pooled("MaxPool", {3}, {3}, ceil({1, 1}, 0)), (Values{2, 4}));
}

TEST(Pooling, PaddingCountsWhereAsked) {
  const auto padded = [](int64_t counts) {
    return window({3}, {1}, [counts](NodeProto& node) {
      set(node, "pads", Ints{1, 1});
      set(node, "count_include_pad", counts);
    });
  };
  const HostTensor x = floats({1, 1, 2}, {3, 6});
  expect(run("AveragePool", 7, {data(x)}, padded(0))[0], {1, 1, 2}, {4.5, 4.5});
  expect(run("AveragePool", 7, {data(x)}, padded(1))[0], {1, 1, 2}, {3, 3});
}

// Indices run through the whole operand.
TEST(Pooling, Indices) {
  const HostTensor x = counting({2, 2, 2, 3});
  const auto y = run("MaxPool", 12, {data(x)}, window({2, 2}, {1, 1}), 2);
  expect(y[1], {2, 2, 1, 2}, {4, 5, 10, 11, 16, 17, 22, 23});
  const Edit columns = [](NodeProto& node) { set(node, "storage_order", int64_t{1}); };
  expect(run("MaxPool", 12, {data(x)}, window({2, 2}, {1, 1}, columns), 2)[1], {2, 2, 1, 2},
         {3, 5, 9, 11, 15, 17, 21, 23});
}

TEST(Pooling, Norms) {
  const HostTensor x = floats({1, 1, 3}, {3, -4, 12});
  expect(run("LpPool", 11, {data(x)}, window({2}, {1}))[0], {1, 1, 2}, {5, std::sqrt(160.0)});
  const Edit first = [](NodeProto& node) { set(node, "p", int64_t{1}); };
  expect(run("LpPool", 18, {data(x)}, window({2}, {1}, first))[0], {1, 1, 2}, {7, 16});
}

TEST(Pooling, OfTheWholeImage) {
  const HostTensor x = floats({1, 2, 2}, {3, -4, 1, 5});
  expect(run("GlobalMaxPool", 7, {data(x)})[0], {1, 2, 1}, {3, 5});
  expect(run("GlobalAveragePool", 7, {data(x)})[0], {1, 2, 1}, {-0.5, 3});
  expect(run("GlobalLpPool", 7, {data(x)})[0], {1, 2, 1}, {5, std::sqrt(26.0)});
  const Edit third = [](NodeProto& node) { set(node, "p", int64_t{3}); };
  expect(run("GlobalLpPool", 7, {data(x)}, third)[0], {1, 2, 1},
         {std::cbrt(91.0), std::cbrt(126.0)});
}

// One window over all of the image is a reduction, which kernels and plans do more with.
TEST(Pooling, OneWindowIsAReduction) {
  const auto ops = [](const char* op, std::vector<TestDim> shape, const Edit& edit) {
    TestModel model;
    model.input("x", std::move(shape)).output("y");
    edit(model.node(op, {"x"}, {"y"}));
    return ops_of(model.load());
  };
  const HostTensor x = floats({1, 1, 2, 2}, {3, -4, 1, 5});
  const std::pair<const char*, double> cases[] = {
      {"MaxPool", 5}, {"AveragePool", 1.25}, {"LpPool", std::sqrt(51.0)}};
  const Edit behind = [](NodeProto& node) { set(node, "pads", Ints{0, 0, 1, 1}); };
  for (const auto& [op, y] : cases) {
    const std::string own = ops(op, {1, 1, 4, 4}, window({2, 2}, {1, 1}))[0];
    const auto has_own = ::testing::Contains(own);
    for (const Edit& whole : {window({2, 2}, {1, 1}), window({2, 2}, {3, 3}, behind)}) {
      expect(run(op, 18, {data(x)}, whole)[0], {1, 1, 1, 1}, {y});
      EXPECT_THAT(ops(op, {1, 1, 2, 2}, whole), ::testing::Not(has_own)) << op;
    }
    EXPECT_THAT(ops(op, {1, 1, 2, 3}, window({2, 2}, {1, 1})), has_own) << op;
    EXPECT_THAT(ops(op, {1, 1, 2, "w"}, window({2, 2}, {1, 1})), has_own) << op;
  }
  const auto y = run("MaxPool", 12, {data(x)}, window({2, 2}, {1, 1}), 2);
  expect(y[0], {1, 1, 1, 1}, {5});
  expect(y[1], {1, 1, 1, 1}, {3});
}

TEST(Pooling, SaysWhatDoesNotFit) {
  const auto message = [](const char* op, const HostTensor& x, const Edit& edit) {
    return error_of([&] { run(op, 12, {data(x)}, edit); }).message();
  };
  const HostTensor x = counting({1, 1, 4});
  EXPECT_THAT(message("MaxPool", x, {}), HasSubstr("'kernel_shape' is missing"));
  EXPECT_THAT(message("MaxPool", x, window({5}, {1})),
              HasSubstr("a window of 5 elements is larger than the padded image, which has 4"));
  EXPECT_THAT(message("AveragePool", x, window({2}, {0})), HasSubstr("the strides of a window"));
  EXPECT_THAT(message("AveragePool", x, window({2}, {1, 1})),
              HasSubstr("the attribute 'strides' has 2 entries where 1 are needed"));
  EXPECT_THAT(message("LpPool", x, window({2, 2}, {1, 1})),
              HasSubstr("the kernel has 2 dimensions, the image 1"));
  EXPECT_THAT(message("MaxPool", counting({2, 2}), window({2}, {1})),
              HasSubstr("must be [n, c, image...]"));
  const Edit negative = [](NodeProto& node) { set(node, "pads", Ints{-1, 0}); };
  EXPECT_THAT(message("MaxPool", x, window({2}, {1}, negative)),
              HasSubstr("the paddings before the image of a window are [-1]"));
  EXPECT_THAT(message("MaxPool", x, window({INT64_MAX}, {1})), HasSubstr("larger than the padded"));
}

}  // namespace
}  // namespace cleave::onnx
