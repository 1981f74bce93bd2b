// Nodes that cannot be: what is refused names the node, says what does not fit and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <variant>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::testing::HasSubstr;
using Ints = std::vector<int64_t>;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

Operand zeros(Ints shape, DType dtype = DType::kFloat32) {
  return data(HostTensor(dtype, std::move(shape)));
}

Operand numbers(const Values& values) {
  return fixed(integers({static_cast<int64_t>(values.size())}, values));
}

Operand reals(const Values& values) {
  return fixed(floats({static_cast<int64_t>(values.size())}, values));
}

struct Setting {
  const char* name;
  std::variant<int64_t, Ints, std::string> value;
};

struct Case {
  const char* op;
  int64_t opset;
  std::vector<Operand> operands;
  std::vector<Setting> settings;
  const char* message;  // a part of it
};

void expect_refused(const Case& c) {
  std::string described = c.op;
  for (const Operand& operand : c.operands) {
    described += " " + ::testing::PrintToString(operand.value.shape);
  }
  for (const Setting& setting : c.settings) described += std::string(" ") + setting.name;
  SCOPED_TRACE(described);
  const Error error = error_of([&] {
    run(c.op, c.opset, c.operands, [&](NodeProto& node) {
      node.set_name("culprit");
      for (const Setting& setting : c.settings) {
        if (const auto* text = std::get_if<std::string>(&setting.value)) {
          set(node, setting.name, text->c_str());
        } else if (const auto* number = std::get_if<int64_t>(&setting.value)) {
          set(node, setting.name, *number);
        } else {
          set(node, setting.name, std::get<Ints>(setting.value));
        }
      }
    });
  });
  EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  EXPECT_THAT(error.message(), HasSubstr(c.message));
  EXPECT_THAT(::testing::PrintToString(error.places()), HasSubstr("culprit"));
  EXPECT_NE(error.hint(), "") << error.what();
}

void expect_all_refused(const std::vector<Case>& cases) {
  for (const Case& c : cases) expect_refused(c);
}

TEST(BadInput, Convolutions) {
  const Operand x = zeros({1, 4, 5, 5});
  const Operand w = zeros({6, 4, 3, 3});
  expect_all_refused({
      {"Conv", 17, {x, zeros({6, 4, 7, 3})}, {}, "larger than the padded image"},
      {"Conv", 17, {x, w}, {{"dilations", Ints{1, 3}}}, "larger than the padded image"},
      {"Conv", 17, {x, w}, {{"dilations", Ints{int64_t{1} << 40, 1}}}, "larger than the padded"},
      {"Conv", 17, {x, w}, {{"dilations", Ints{kMost, 1}}}, "overflow"},
      {"Conv", 17, {x, w}, {{"pads", Ints{kMost, 0, kMost, 0}}}, "overflow"},
      {"Conv", 17, {x, w}, {{"strides", Ints{1, kMost}}}, "'strides' of a convolution is"},
      {"Conv", 17, {x, w}, {{"strides", Ints{0, 1}}}, "strides of a window are [0, 1]"},
      {"Conv", 17, {x, w}, {{"strides", Ints{1}}}, "'strides' has 1 entries where 2"},
      {"Conv", 17, {x, w}, {{"dilations", Ints{1, 0}}}, "dilations of a window are [1, 0]"},
      {"Conv", 17, {x, w}, {{"pads", Ints{-1, 0, 0, 0}}}, "paddings before the image"},
      {"Conv", 17, {x, w}, {{"pads", Ints{0, 0}}}, "'pads' has 2 entries where 4"},
      {"Conv", 17, {x, w}, {{"kernel_shape", Ints{5, 5}}}, "'kernel_shape' is [5, 5]"},
      {"Conv", 17, {x, w}, {{"auto_pad", std::string("SAME")}}, "auto_pad is 'SAME'"},
      {"Conv", 17, {x, w}, {{"group", int64_t{0}}}, "'group' is 0"},
      {"Conv", 17, {x, w}, {{"group", int64_t{4}}}, "do not divide the 6 output channels"},
      {"Conv", 17, {x, zeros({5, 2, 3, 3})}, {{"group", int64_t{2}}}, "2 groups do not divide"},
      {"Conv", 17, {x, zeros({6, 3, 3, 3})}, {}, "the channels of f32[1, 4, 5, 5]"},
      {"Conv", 17, {x, zeros({6, 4, 3})}, {}, "have not as many dimensions"},
      {"Conv", 17, {x, zeros({6, 4, 0, 3})}, {}, "have no elements"},
      {"Conv", 17, {x, w, zeros({5})}, {}, "the bias of a convolution"},
      {"Conv", 17, {x, w, zeros({6, 1})}, {}, "the bias is f32[6, 1]"},
      {"Conv", 17, {x, zeros({6, 4, 3, 3}, DType::kFloat16)}, {}, "different types"},
  });
}

TEST(BadInput, TransposedConvolutions) {
  const Operand x = zeros({1, 4, 5, 5});
  const Operand w = zeros({4, 6, 3, 3});
  const Setting by_two{"strides", Ints{2, 2}};
  expect_all_refused({
      {"ConvTranspose", 17, {x, w}, {{"strides", Ints{0, 1}}}, "strides are [0, 1]"},
      {"ConvTranspose", 17, {x, w}, {{"strides", Ints{kMost, 1}}}, "overflow"},
      {"ConvTranspose", 17, {x, w}, {{"strides", Ints{int64_t{1} << 40, 1}}}, "spread the weights"},
      {"ConvTranspose", 17, {x, w}, {{"dilations", Ints{1, -2}}}, "dilations are [1, -2]"},
      {"ConvTranspose",
       17,
       {x, w},
       {{"dilations", Ints{1, int64_t{1} << 40}}},
       "spread the weights"},
      {"ConvTranspose", 17, {x, w}, {{"pads", Ints{0, 0, -1, 0}}}, "pads of a convolution"},
      {"ConvTranspose", 17, {x, w}, {{"pads", Ints{9, 0, 9, 0}}}, "the pads leave"},
      {"ConvTranspose", 17, {x, w}, {{"output_padding", Ints{0, 1}}}, "'output_padding'"},
      {"ConvTranspose", 17, {x, w}, {by_two, {"output_padding", Ints{2, 0}}}, "'output_padding'"},
      {"ConvTranspose", 17, {x, w}, {by_two, {"output_padding", Ints{0, -1}}}, "'output_padding'"},
      {"ConvTranspose", 17, {x, w}, {by_two, {"output_padding", Ints{1}}}, "'output_padding'"},
      {"ConvTranspose",
       17,
       {x, w},
       {by_two, {"output_shape", Ints{-4, 11}}},
       "-4 elements of dimension 0"},
      {"ConvTranspose", 17, {x, w}, {{"group", int64_t{3}}}, "3 groups do not divide"},
      {"ConvTranspose", 17, {x, zeros({3, 6, 3, 3})}, {}, "the channels of"},
  });
}

TEST(BadInput, Poolings) {
  const Operand x = zeros({1, 1, 4, 4});
  const Setting kernel{"kernel_shape", Ints{2, 2}};
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    expect_all_refused({
        {op, 19, {x}, {}, "'kernel_shape' is missing"},
        {op, 19, {x}, {{"kernel_shape", Ints{2}}}, "the kernel has 1 dimensions, the image 2"},
        {op, 19, {x}, {{"kernel_shape", Ints{5, 2}}}, "larger than the padded image"},
        {op, 19, {x}, {{"kernel_shape", Ints{0, 2}}}, "kernel sizes of a window are [0, 2]"},
        {op, 19, {x}, {{"kernel_shape", Ints{-2, 2}}}, "kernel sizes of a window are [-2, 2]"},
        {op, 19, {x}, {{"kernel_shape", Ints{kMost, 2}}}, "larger than the padded image"},
        {op, 19, {x}, {kernel, {"strides", Ints{0, 1}}}, "strides of a window are [0, 1]"},
        {op, 19, {x}, {kernel, {"strides", Ints{kMost, 1}}}, "'strides' of"},
        {op, 19, {x}, {kernel, {"dilations", Ints{1, 0}}}, "dilations of a window are [1, 0]"},
        {op, 19, {x}, {kernel, {"dilations", Ints{1, kMost}}}, "overflow"},
        {op, 19, {x}, {kernel, {"dilations", Ints{1, 4}}}, "larger than the padded image"},
        {op, 19, {x}, {kernel, {"pads", Ints{0, -1, 0, 0}}}, "paddings before the image"},
        {op, 19, {x}, {kernel, {"pads", Ints{2, 0, 0, 0}}}, "see padding alone"},
        {op, 19, {x}, {kernel, {"pads", Ints{0, 0, 0, 3}}}, "see padding alone"},
        {op, 19, {x}, {kernel, {"pads", Ints{kMost, 0, 0, 0}}}, "see padding alone"},
        {op, 19, {zeros({4, 4})}, {kernel}, "must be [n, c, image...]"},
    });
  }
  expect_refused({"LpPool", 19, {x}, {kernel, {"p", int64_t{0}}}, "p >= 1"});
  expect_refused({"GlobalLpPool", 19, {x}, {{"p", int64_t{0}}}, "'p' is 0"});
}

TEST(BadInput, Resizes) {
  const Operand x = zeros({1, 1, 4, 4});
  const Operand none = reals({});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<Case> cases;
  for (const double scale : {nan, 0.0, -2.0, infinity, -infinity, 1e30}) {
    cases.push_back({"Resize", 19, {x, none, reals({1, 1, 1, scale})}, {}, "scale"});
    cases.push_back({"Upsample", 9, {x, reals({1, 1, scale, 1})}, {}, "scale"});
  }
  cases.push_back({"Resize", 19, {x, none, reals({1, 1, 1e9, 1})}, {}, "overflows"});
  expect_all_refused(cases);
  const Operand twice = reals({1, 1, 2, 2});
  expect_all_refused({
      {"Resize", 19, {x, none, twice, numbers({1, 1, 8, 8})}, {}, "both scales and sizes"},
      {"Resize", 19, {x, none, none}, {}, "neither scales nor sizes"},
      {"Resize", 19, {x}, {}, "neither scales nor sizes"},
      {"Resize", 19, {x, none, reals({2, 2})}, {}, "2 scales for 4 axes"},
      {"Resize", 19, {x, none, none, numbers({8})}, {}, "1 sizes for 4 axes"},
      {"Resize", 19, {x, none, none, numbers({1, 1, -8, 8})}, {}, "negative"},
      {"Resize", 19, {x, none, none, numbers({1, 1, 9e15, 8})}, {}, "overflows"},
      {"Resize", 19, {x, none, twice}, {{"mode", std::string("area")}}, "mode"},
      {"Resize", 19, {x, none, reals({2})}, {{"axes", Ints{4}}}, "axis 4"},
      {"Resize", 19, {zeros({1, 1, 0, 4}), none, none, numbers({1, 1, 2, 4})}, {}, "nothing to"},
  });
}

TEST(BadInput, Quantisation) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Operand x = zeros({2, 3});
  const Operand q = zeros({2, 3}, DType::kUInt8);
  const Operand scale = fixed(floats({}, {1}));
  const Operand signed_zero = fixed(HostTensor(DType::kInt8, {}));
  std::vector<Case> cases;
  for (const double bad : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()}) {
    const Operand scales = reals({1, bad, 1});
    cases.push_back({"QuantizeLinear", 19, {x, scales}, {}, "the scale 'x1' has the element"});
    cases.push_back({"DequantizeLinear", 19, {q, scales}, {}, "the scale 'x1' has the element"});
  }
  expect_all_refused(cases);
  expect_all_refused({
      {"QuantizeLinear", 19, {x, reals({1, 1})}, {}, "2 scales or zero points for axis 1"},
      {"DequantizeLinear", 19, {q, reals({1, 1})}, {}, "2 scales or zero points for axis 1"},
      {"DequantizeLinear", 19, {q, scale, zeros({2}, DType::kUInt8)}, {}, "2 scales or zero"},
      {"DequantizeLinear", 19, {q, reals({1, 1, 1})}, {{"axis", int64_t{2}}}, "axis 2"},
      {"QuantizeLinear", 19, {x, reals({1, 1, 1})}, {{"axis", int64_t{-3}}}, "axis -3"},
      {"DequantizeLinear", 19, {q, scale, signed_zero}, {}, "the zero point 'x2' is i8"},
      {"QuantizeLinear",
       21,
       {x, scale, signed_zero},
       {{"output_dtype", int64_t{2}}},
       "asks for u8"},
      {"DequantizeLinear", 21, {q, reals({1, 1})}, {{"block_size", int64_t{-1}}}, "block size"},
      {"MatMulInteger", 10, {q, zeros({3, 2}, DType::kUInt8), signed_zero}, {}, "'x2' is i8"},
  });
}

TEST(BadInput, AxesOutOfRange) {
  const Operand x = zeros({2, 3});
  const Setting axis{"axis", int64_t{2}};
  const Setting below{"axis", int64_t{-3}};
  const Operand i = zeros({2, 3}, DType::kInt64);
  expect_all_refused({
      {"Softmax", 13, {x}, {axis}, "axis 2"},
      {"Softmax", 13, {x}, {below}, "axis -3"},
      {"LogSoftmax", 13, {x}, {axis}, "axis 2"},
      {"Concat", 13, {x, x}, {axis}, "axis 2"},
      {"Split", 13, {x}, {axis}, "axis 2"},
      {"Gather", 13, {x, i}, {axis}, "axis 2"},
      {"GatherElements", 13, {x, i}, {axis}, "axis 2"},
      {"ScatterElements", 18, {x, i, x}, {axis}, "axis 2"},
      {"ArgMax", 13, {x}, {axis}, "axis 2"},
      {"Flatten", 13, {x}, {{"axis", int64_t{3}}}, "axis 3"},
      {"LayerNormalization", 17, {x, zeros({3})}, {axis}, "axis 2"},
      {"LpNormalization", 22, {x}, {axis}, "axis 2"},
      {"TopK", 11, {x, numbers({1})}, {axis}, "axis 2"},
      {"CumSum", 14, {x, numbers({2})}, {}, "axis 2"},
      {"Squeeze", 13, {x, numbers({2})}, {}, "axis 2"},
      {"Unsqueeze", 13, {x, numbers({3})}, {}, "axis 3"},
      {"ReduceSum", 13, {x, numbers({-3})}, {}, "axis -3"},
      {"Slice", 13, {x, numbers({0}), numbers({1}), numbers({2})}, {}, "axis 2"},
      {"Pad", 18, {x, numbers({1, 1}), reals({0}), numbers({2})}, {}, "axis 2"},
      {"OneHot", 11, {i, numbers({4}), reals({0, 1})}, {{"axis", int64_t{3}}}, "axis 3"},
  });
}

// Sizes that fit, but not their products.
TEST(BadInput, MoreThanCanBeCounted) {
  constexpr int64_t kFar = int64_t{1} << 40;
  constexpr int64_t kLarge = (int64_t{1} << 31) - 1;
  const Operand image = zeros({1, 1, 4, 4});
  const Setting huge_bins[] = {{"output_height", kLarge}, {"output_width", kLarge}};
  expect_all_refused({
      {"Conv", 17, {image, zeros({1, 1, 3, 3})}, {{"pads", Ints(4, kFar)}}, "overflow"},
      {"MaxPool",
       19,
       {zeros({1, 1, 4})},
       {{"kernel_shape", Ints{kFar}}, {"pads", Ints(2, kFar - 1)}},
       "overflow"},
      {"Resize",
       19,
       {image, reals({}), reals({}), numbers({1, 1, kLarge, kLarge})},
       {},
       "overflow"},
      {"RoiAlign",
       16,
       {image, zeros({1, 4}), zeros({1}, DType::kInt64)},
       {huge_bins[0], huge_bins[1]},
       "overflow"},
      {"Expand", 13, {zeros({1}), numbers({9e17, 4, 4})}, {}, "overflow"},
  });
}

TEST(BadInput, OrderAndPadding) {
  const Operand x = zeros({2, 4});
  expect_all_refused({
      {"TopK", 11, {x, numbers({-1})}, {}, "negative"},
      {"TopK", 11, {x, numbers({5})}, {}, "top_k takes 5 of 4 elements"},
      {"TopK", 11, {x, numbers({1, 2})}, {}, "not one number"},
      {"Pad", 13, {x, numbers({0, -3, 0, -3})}, {}, "paddings of -3 and -3 take more"},
      {"Pad", 13, {x, numbers({0, 0, 0, -5})}, {}, "paddings of 0 and -5 take more"},
      {"Pad", 13, {x, numbers({1, 1})}, {}, "2 paddings for 2 axes"},
      {"Pad", 13, {x, numbers({9e18, 0, 9e18, 0})}, {}, "overflow"},
      {"Pad", 13, {x, numbers({0, 1, 0, 1})}, {{"mode", std::string("mirror")}}, "'mirror'"},
  });
}

}  // namespace
}  // namespace cleave::onnx
