// Resize, Upsample and GridSample.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const HostTensor kNone(DType::kFloat32, {0});
const HostTensor kX = floats({1, 1, 2, 2}, {1, 2, 3, 4});

Edit linear(const Edit& more = {}) {
  return [more](NodeProto& node) {
    set(node, "mode", "linear");
    if (more) more(node);
  };
}

TEST(Resize, NearestOfEveryOperatorSet) {
  const Values twice = {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4};
  const HostTensor scales = floats({4}, {1, 1, 2, 2});
  const Edit attribute = [](NodeProto& node) {
    auto& added = cleave::onnx::attribute(node, "scales", ::onnx::AttributeProto::FLOATS);
    for (const float scale : {1.0f, 1.0f, 2.0f, 2.0f}) added.add_floats(scale);
  };
  expect(run("Upsample", 7, {data(kX)}, attribute)[0], {1, 1, 4, 4}, twice);
  expect(run("Upsample", 9, {data(kX), fixed(scales)})[0], {1, 1, 4, 4}, twice);
  expect(run("Resize", 10, {data(kX), fixed(scales)})[0], {1, 1, 4, 4}, twice);
  for (const int64_t opset : {11, 13, 18, 19}) {
    expect(run("Resize", opset, {data(kX), fixed(kNone), fixed(scales)})[0], {1, 1, 4, 4}, twice);
    expect(run("Resize", opset,
               {data(kX), fixed(kNone), fixed(kNone), fixed(integers({4}, {1, 1, 4, 4}))})[0],
           {1, 1, 4, 4}, twice);
  }
}

// Positions 0, 5/3 and 10/3: up where a dimension shrinks.
TEST(Resize, OfOperatorSet10RoundsUpWhereItShrinks) {
  const HostTensor x = floats({1, 1, 2, 6}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  expect(run("Resize", 10, {data(x), fixed(floats({4}, {1, 1, 1.5, 0.6}))})[0], {1, 1, 3, 3},
         {0, 2, 4, 0, 2, 4, 6, 8, 10});
}

TEST(Resize, AxesInAnyOrder) {
  const Edit axes = linear([](NodeProto& node) {
    set(node, "axes", std::vector<int64_t>{3, -2});
    set(node, "coordinate_transformation_mode", "align_corners");
  });
  expect(run("Resize", 18, {data(kX), fixed(kNone), fixed(kNone), fixed(integers({2}, {3, 2}))},
             axes)[0],
         {1, 1, 2, 3}, {1, 1.5, 2, 3, 3.5, 4});
}

TEST(Resize, KeepsTheAspectRatio) {
  const auto extents = [](const char* policy) {
    const Edit edit = [policy](NodeProto& node) {
      set(node, "keep_aspect_ratio_policy", policy);
      set(node, "axes", std::vector<int64_t>{2, 3});
    };
    return run("Resize", 18, {data(kX), fixed(kNone), fixed(kNone), fixed(integers({2}, {7, 8}))},
               edit)[0]
        .shape;
  };
  EXPECT_EQ(extents("not_larger"), (std::vector<int64_t>{1, 1, 7, 7}));
  EXPECT_EQ(extents("not_smaller"), (std::vector<int64_t>{1, 1, 8, 8}));
  EXPECT_EQ(extents("stretch"), (std::vector<int64_t>{1, 1, 7, 8}));
}

TEST(Resize, SymbolicSizes) {
  const auto load = [](double scale) {
    TestModel model;
    model.input("x", {1, 3, "h", 8}).output("y");
    model.initializer("none", kNone).initializer("scales", floats({4}, {1, 1, scale, 0.5}));
    model.node("Resize", {"x", "none", "scales"}, {"y"});
    const ir::Graph graph = model.load();
    return graph.type(graph.outputs()[0]).shape;
  };
  const Dim h = Dim::symbol("h");
  EXPECT_EQ(load(2), (Shape{1, 3, h * 2, 4}));
  EXPECT_EQ(load(0.3), (Shape{1, 3, floor_div(h * 3, 10), 4}));
  EXPECT_EQ(load(1)[2], h);
}

// As exporters write "to the size of that tensor".
TEST(Resize, ToTheSizeOfAnotherTensor) {
  TestModel model;
  model.input("x", {1, 3, "h", "w"}).input("z", {1, 3, "a", "b"}).output("y");
  model.initializer("none", kNone);
  model.node("Shape", {"z"}, {"sizes"});
  model.node("Resize", {"x", "none", "none", "sizes"}, {"y"});
  const ir::Graph graph = model.load();
  EXPECT_EQ(text_of(graph.type(graph.outputs()[0]).shape), "[1, 3, a, b]");
}

TEST(Resize, NothingToDo) {
  TestModel model;
  model.input("x", {1, 3, "h", 8}).output("y");
  model.initializer("none", kNone).initializer("scales", floats({4}, {1, 1, 1, 1}));
  model.node("Resize", {"x", "none", "scales"}, {"y"});
  EXPECT_THAT(ops_of(model.load()), Not(Contains("resize")));
}

TEST(Resize, SaysWhatDoesNotFit) {
  const auto message = [](std::vector<Operand> operands, const Edit& edit = {}) {
    operands.insert(operands.begin(), {data(kX), fixed(kNone)});
    return error_of([&] { run("Resize", 13, operands, edit); }).message();
  };
  for (const double scale : {0.0, -2.0, std::nan(""), HUGE_VAL, 1e30}) {
    EXPECT_THAT(message({fixed(floats({4}, {1, 1, 1, scale}))}), HasSubstr("a scale is "));
  }
  EXPECT_THAT(message({fixed(floats({4}, {1, 1, 1, 2e9}))}), HasSubstr("overflows"));
  EXPECT_THAT(message({fixed(floats({2}, {1, 1}))}), HasSubstr("2 scales for 4 axes"));
  EXPECT_THAT(message({fixed(kNone), fixed(integers({1}, {1}))}), HasSubstr("1 sizes for 4 axes"));
  EXPECT_THAT(message({fixed(kNone), fixed(integers({4}, {1, 1, 9e15, 2}))}),
              HasSubstr("overflows"));
  EXPECT_THAT(message({fixed(kNone), fixed(integers({4}, {1, 1, -3, 2}))}), HasSubstr("negative"));
  EXPECT_THAT(message({fixed(kNone)}), HasSubstr("neither scales nor sizes"));
  EXPECT_THAT(message({fixed(floats({4}, {1, 1, 2, 2})), fixed(integers({4}, {1, 1, 2, 2}))}),
              HasSubstr("both scales and sizes"));
  EXPECT_THAT(message({data(floats({4}, {1, 1, 2, 2}))}), HasSubstr("depend on data"));
  const Edit crop = linear(
      [](NodeProto& node) { set(node, "coordinate_transformation_mode", "tf_crop_and_resize"); });
  EXPECT_THAT(message({fixed(floats({4}, {1, 1, 2, 2}))}, crop), HasSubstr("the roi has 0"));
}

TEST(GridSample, ModesBearTheirOldNames) {
  const HostTensor points = floats({1, 1, 2, 2}, {0, 0, -2, -2});
  const auto sampled = [&](int64_t opset, const char* mode) {
    const Edit edit = [mode](NodeProto& node) { set(node, "mode", mode); };
    return values_of(run("GridSample", opset, {data(kX), data(points)}, edit)[0]);
  };
  EXPECT_EQ(sampled(16, "bilinear"), (Values{2.5, 0}));
  EXPECT_EQ(sampled(20, "linear"), (Values{2.5, 0}));
  EXPECT_EQ(sampled(16, "bicubic"), sampled(20, "cubic"));
  EXPECT_EQ(values_of(run("GridSample", 16, {data(kX), data(points)})[0]), (Values{2.5, 0}));
  EXPECT_THAT(error_of([&] { sampled(20, "area"); }).message(), HasSubstr("is 'area'"));
}

TEST(RoiAlign, CornersOfEveryOperatorSet) {
  const HostTensor x = floats({1, 1, 2, 4}, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto aligned = [&](int64_t opset, const Edit& edit) {
    return values_of(run("RoiAlign", opset,
                         {data(x), data(floats({1, 4}, {1, 0, 3, 2})), data(integers({1}, {0}))},
                         [&](NodeProto& node) {
                           set(node, "output_width", int64_t{2});
                           set(node, "sampling_ratio", int64_t{1});
                           if (edit) edit(node);
                         })[0]);
  };
  EXPECT_EQ(aligned(16, {}), (Values{3, 4}));
  EXPECT_EQ(aligned(22, {}), (Values{3, 4}));
  // The corner is element 1: the bins' centres are half an element behind elements 1 and 2.
  const Edit elements = [](NodeProto& node) {
    set(node, "coordinate_transformation_mode", "output_half_pixel");
  };
  EXPECT_EQ(aligned(16, elements), (Values{5.5, 6.5}));
  EXPECT_EQ(aligned(10, {}), (Values{5.5, 6.5}));
  // Half of 7 and of 3, of which the larger counts.
  const Edit largest = [](NodeProto& node) { set(node, "mode", "max"); };
  EXPECT_EQ(aligned(16, largest), (Values{2.5, 3}));
  const auto message = [&](const char* name, int64_t value) {
    return error_of([&] {
             run("RoiAlign", 16,
                 {data(x), data(floats({1, 4}, {1, 0, 3, 2})), data(integers({1}, {0}))},
                 with({{name, value}}));
           })
        .message();
  };
  EXPECT_THAT(message("output_height", 0), HasSubstr("'output_height' is 0"));
  EXPECT_THAT(message("sampling_ratio", -1), HasSubstr("roi_align takes -1 samples"));
}

}  // namespace
}  // namespace cleave::onnx
