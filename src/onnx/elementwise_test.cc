// The converters of element-wise ops, on numbers worked out by hand.
#include <gmock/gmock.h>

#include <cmath>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::onnx::NodeProto;
using ::onnx::TensorProto;
using ::testing::HasSubstr;

TEST(ElementwiseConverters, UnaryOps) {
  const struct {
    const char* op;
    double x, y;
    int64_t opset = 17;
  } rows[] = {{"Abs", -2, 2},
              {"Acos", 0.5, std::acos(0.5)},
              {"Acosh", 2, std::acosh(2.0)},
              {"Asin", 0.5, std::asin(0.5)},
              {"Asinh", 2, std::asinh(2.0)},
              {"Atan", 2, std::atan(2.0)},
              {"Atanh", 0.5, std::atanh(0.5)},
              {"Cosh", 1, std::cosh(1.0)},
              {"Sinh", 1, std::sinh(1.0)},
              {"Tan", 1, std::tan(1.0)},
              {"Shrink", -2, -2},
              {"Ceil", 1.2, 2},
              {"Cos", 1, std::cos(1.0)},
              {"Erf", 0.5, std::erf(0.5)},
              {"Exp", 1, std::exp(1.0)},
              {"Floor", -1.2, -2},
              {"Identity", 3, 3},
              {"Log", 2, std::log(2.0)},
              {"Neg", 2, -2},
              {"Relu", -1, 0},
              {"Reciprocal", 4, 0.25},
              {"Round", 2.5, 2},
              {"Sigmoid", 0, 0.5},
              {"Sign", -7, -1},
              {"Sin", 1, std::sin(1.0)},
              {"Softplus", 0, std::log(2.0)},
              {"Softsign", -3, -0.75},
              {"Sqrt", 9, 3},
              {"Tanh", 0.5, std::tanh(0.5)},
              {"Elu", -1, std::exp(-1.0) - 1},
              {"LeakyRelu", -1, -0.01},
              {"Gelu", 1, 0.8413447460685429, 20},
              {"Swish", 1, 0.7310585786300049, 24},
              {"Mish", 1, std::tanh(std::log1p(std::exp(1.0))), 18},
              {"Selu", -1, 1.0507009873554805 * 1.6732632423543772 * (std::exp(-1.0) - 1)},
              {"Celu", -1, std::exp(-1.0) - 1},
              {"HardSigmoid", 1, 0.7},
              {"HardSwish", 1, 4.0 / 6.0},
              {"ThresholdedRelu", 0.5, 0},
              {"Dropout", 5, 5, 7}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.op);
    expect(run(row.op, row.opset, {data(floats({1}, {row.x}))})[0], {1}, {row.y});
  }
}

TEST(ElementwiseConverters, BinaryOpsBroadcast) {
  const struct {
    const char* op;
    Values y;
  } rows[] = {
      {"Add", {3, 0, 6, 3}},     {"Sub", {-1, 2, 2, 5}},       {"Mul", {2, -1, 8, -4}},
      {"Div", {0.5, -1, 2, -4}}, {"Pow", {1, 1, 16, 0.25}},    {"Max", {2, 1, 4, 4}},
      {"Min", {1, -1, 2, -1}},   {"Sum", {3, 0, 6, 3}},        {"Mean", {1.5, 0, 3, 1.5}},
      {"Equal", {0, 0, 0, 0}},   {"Greater", {0, 1, 1, 1}},    {"GreaterOrEqual", {0, 1, 1, 1}},
      {"Less", {1, 0, 0, 0}},    {"LessOrEqual", {1, 0, 0, 0}}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.op);
    expect(run(row.op, 17, {data(floats({2, 1}, {1, 4})), data(floats({2}, {2, -1}))})[0], {2, 2},
           row.y);
  }
  expect(run("PRelu", 16, {data(floats({2, 2}, {-1, 2, 3, -4})), data(floats({2}, {2, 0.5}))})[0],
         {2, 2}, {-2, 2, 3, -2});
}

TEST(ElementwiseConverters, LogicalOps) {
  const HostTensor a = tensor_of(DType::kBool, {2, 1}, {0, 1});
  const HostTensor b = tensor_of(DType::kBool, {2}, {0, 1});
  expect(run("And", 17, {data(a), data(b)})[0], {2, 2}, {0, 0, 0, 1});
  expect(run("Or", 17, {data(a), data(b)})[0], {2, 2}, {0, 1, 1, 1});
  expect(run("Xor", 17, {data(a), data(b)})[0], {2, 2}, {0, 1, 1, 0});
  expect(run("Not", 17, {data(b)})[0], {2}, {1, 0});
  expect(run("Where", 17, {data(a), data(floats({1}, {5})), data(floats({2}, {1, 2}))})[0], {2, 2},
         {1, 2, 5, 5});
  const HostTensor infinities = floats({3}, {HUGE_VAL, 1, -HUGE_VAL});
  const auto without = [](const char* sign) {
    return [sign](NodeProto& node) { set(node, sign, int64_t{0}); };
  };
  expect(run("IsInf", 10, {data(infinities)})[0], {3}, {1, 0, 1});
  expect(run("IsInf", 20, {data(infinities)}, without("detect_negative"))[0], {3}, {1, 0, 0});
  expect(run("IsInf", 20, {data(infinities)}, without("detect_positive"))[0], {3}, {0, 0, 1});
  expect(run("IsNaN", 17, {data(floats({2}, {std::nan(""), 1}))})[0], {2}, {1, 0});
}

TEST(ElementwiseConverters, Bits) {
  const HostTensor a = tensor_of(DType::kUInt8, {2, 1}, {12, 3});
  const HostTensor b = tensor_of(DType::kUInt8, {2}, {2, 7});
  expect(run("BitwiseAnd", 18, {data(a), data(b)})[0], {2, 2}, {0, 4, 2, 3});
  expect(run("BitwiseOr", 18, {data(a), data(b)})[0], {2, 2}, {14, 15, 3, 7});
  expect(run("BitwiseXor", 18, {data(a), data(b)})[0], {2, 2}, {14, 11, 1, 4});
  expect(run("BitwiseNot", 18, {data(b)})[0], {2}, {253, 248});
  const auto shift = [&](const char* direction) {
    return run("BitShift", 11, {data(a), data(b)},
               [=](NodeProto& node) { set(node, "direction", direction); })[0];
  };
  expect(shift("LEFT"), {2, 2}, {48, 0, 12, 128});
  expect(shift("RIGHT"), {2, 2}, {3, 0, 0, 0});
  EXPECT_THAT(error_of([&] { shift("UP"); }).message(), HasSubstr("no direction UP"));
}

TEST(ElementwiseConverters, Shrink) {
  const Edit edit = [](NodeProto& node) {
    set(node, "lambd", 1.5);
    set(node, "bias", 1.0);
  };
  expect(run("Shrink", 9, {data(floats({4}, {-2, -1, 1, 2}))}, edit)[0], {4}, {-1, 0, 0, 1});
}

TEST(ElementwiseConverters, Mod) {
  const Edit fmod = [](NodeProto& node) { set(node, "fmod", int64_t{1}); };
  expect(run("Mod", 17, {data(integers({2}, {-7, 7})), data(integers({2}, {3, -3}))})[0], {2},
         {2, -2});
  expect(run("Mod", 17, {data(floats({2}, {-7, 7})), data(floats({2}, {3, -3}))}, fmod)[0], {2},
         {-1, 1});
  EXPECT_EQ(error_of([] {
              run("Mod", 17, {data(floats({1}, {1})), data(floats({1}, {1}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(ElementwiseConverters, Casts) {
  const Edit to_int = [](NodeProto& node) { set(node, "to", int64_t{TensorProto::INT32}); };
  const HostTensor y = run("Cast", 17, {data(floats({2}, {1.9, -1.9}))}, to_int)[0];
  EXPECT_EQ(y.dtype, DType::kInt32);
  expect(y, {2}, {1, -1});
  EXPECT_EQ(run("CastLike", 19, {data(floats({1}, {1})), data(integers({1}, {1}))})[0].dtype,
            DType::kInt64);
  const Edit to_text = [](NodeProto& node) { set(node, "to", int64_t{TensorProto::STRING}); };
  EXPECT_THAT(error_of([&] { run("Cast", 17, {data(floats({1}, {1}))}, to_text); }).message(),
              HasSubstr("STRING"));
}

TEST(ElementwiseConverters, Clip) {
  const HostTensor x = floats({3}, {-5, 0.5, 5});
  const Edit bounds = [](NodeProto& node) {
    set(node, "min", -1.0);
    set(node, "max", 1.0);
  };
  expect(run("Clip", 7, {data(x)}, bounds)[0], {3}, {-1, 0.5, 1});
  expect(run("Clip", 7, {data(x)})[0], {3}, {-5, 0.5, 5});
  expect(run("Clip", 13, {data(x), fixed(floats({}, {0})), data(floats({}, {2}))})[0], {3},
         {0, 0.5, 2});
  expect(run("Clip", 13, {data(x)})[0], {3}, {-5, 0.5, 5});
}

TEST(ElementwiseConverters, DropoutGivesAMask) {
  const auto y = run("Dropout", 13, {data(floats({2}, {1, 2}))}, {}, 2);
  expect(y[1], {2}, {1, 1});
  EXPECT_EQ(y[1].dtype, DType::kBool);
  EXPECT_THAT(error_of([] {
                run("Dropout", 13,
                    {data(floats({1}, {1})), fixed(floats({}, {0.5})),
                     fixed(tensor_of(DType::kBool, {}, {1}))});
              }).message(),
              HasSubstr("training mode"));
}

}  // namespace
}  // namespace cleave::onnx
