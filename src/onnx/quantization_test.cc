// Quantisation on numbers worked out by hand.
#include <gmock/gmock.h>

#include <cmath>

#include "onnx/test_node.h"

namespace cleave::onnx {
namespace {

using ::testing::HasSubstr;

HostTensor bytes(std::vector<int64_t> shape, const Values& values) {
  return tensor_of(DType::kUInt8, std::move(shape), values);
}

TEST(Quantization, RoundsToEvenAndSaturates) {
  const HostTensor x = floats({6}, {1, 3, 5, -5, 1000, -1000});
  for (const int opset : {10, 13, 19, 21, 23}) {
    const HostTensor y =
        run("QuantizeLinear", opset, {data(x), fixed(floats({}, {2})), fixed(bytes({}, {10}))})[0];
    EXPECT_EQ(y.dtype, DType::kUInt8);
    expect(y, {6}, {10, 12, 12, 8, 255, 0});
  }
  const HostTensor none = run("QuantizeLinear", 13, {data(x), data(floats({1}, {2}))})[0];
  expect(none, {6}, {0, 2, 2, 0, 255, 0});
  const struct {
    DType dtype;
    double low, high;
  } rows[] = {
      {DType::kInt8, -128, 127}, {DType::kInt16, -32768, 32767}, {DType::kUInt16, 0, 65535}};
  for (const auto& row : rows) {
    const HostTensor zero(row.dtype, {});
    expect(run("QuantizeLinear", 21,
               {data(floats({2}, {-1e9, 1e9})), fixed(floats({}, {1})), fixed(zero)})[0],
           {2}, {row.low, row.high});
  }
}

TEST(Quantization, OutputTypeAndPrecision) {
  const HostTensor x = floats({1}, {-3});
  const HostTensor scale = floats({}, {1});
  EXPECT_EQ(run("QuantizeLinear", 21, {data(x), data(scale)}, with({{"output_dtype", 3}}))[0].dtype,
            DType::kInt8);
  EXPECT_EQ(error_of([&] {
              run("QuantizeLinear", 21, {data(x), data(scale), fixed(bytes({}, {0}))},
                  with({{"output_dtype", 3}}));
            }).code(),
            ErrorCode::kInvalid);
  // 2049 is no half: it is 2048 before it is divided.
  expect(run("QuantizeLinear", 23,
             {data(floats({1}, {2049})), data(scale), fixed(tensor_of(DType::kInt16, {}, {0}))},
             with({{"precision", 10}}))[0],
         {1}, {2048});
  const HostTensor y = run("DequantizeLinear", 23, {data(bytes({1}, {3})), data(scale)},
                           with({{"output_dtype", 10}}))[0];
  EXPECT_EQ(y.dtype, DType::kFloat16);
  expect(y, {1}, {3});
}

TEST(Quantization, AxesAndBlocks) {
  const HostTensor x = bytes({2, 3}, {10, 11, 12, 20, 21, 22});
  const HostTensor scales = floats({2}, {1, 0.5});
  const HostTensor zeros = bytes({2}, {10, 20});
  expect(run("DequantizeLinear", 13, {data(x), data(scales), data(zeros)}, with({{"axis", 0}}))[0],
         {2, 3}, {0, 1, 2, 0, 0.5, 1});
  expect(run("DequantizeLinear", 10, {data(x), fixed(floats({}, {2})), fixed(bytes({}, {10}))})[0],
         {2, 3}, {0, 2, 4, 20, 22, 24});
  // Blocks of two columns, the last one cut short.
  const Edit blocks = with({{"axis", 1}, {"block_size", 2}});
  const HostTensor blocked = floats({2, 2}, {1, 2, 3, 4});
  expect(run("DequantizeLinear", 21, {data(x), data(blocked)}, blocks)[0], {2, 3},
         {10, 11, 24, 60, 63, 88});
  expect(run("QuantizeLinear", 21, {data(floats({2, 3}, {10, 11, 24, 60, 63, 88})), data(blocked)},
             blocks)[0],
         {2, 3}, {10, 11, 12, 20, 21, 22});
  const Edit equal = with({{"axis", 0}, {"block_size", 2}});
  expect(run("DequantizeLinear", 21, {data(x), data(floats({1, 3}, {1, 2, 3}))}, equal)[0], {2, 3},
         {10, 22, 36, 20, 42, 66});
}

TEST(Quantization, LargeIntegersAreSubtractedExactly) {
  const HostTensor x = tensor_of(DType::kInt32, {1}, {(1 << 30) + 1});
  const HostTensor zero = tensor_of(DType::kInt32, {}, {1 << 30});
  expect(run("DequantizeLinear", 19, {data(x), data(floats({}, {1})), data(zero)})[0], {1}, {1});
}

TEST(Quantization, ScalesAreChecked) {
  const HostTensor x = floats({2, 3}, Values(6, 1));
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    for (const char* op : {"QuantizeLinear", "DequantizeLinear"}) {
      const HostTensor operand = op[0] == 'Q' ? x : bytes({2, 3}, Values(6, 1));
      const Error error = error_of([&] {
        run(op, 13, {data(operand), fixed(floats({3}, {1, bad, 1}))});
      });
      EXPECT_EQ(error.code(), ErrorCode::kInvalid);
      EXPECT_THAT(error.message(), HasSubstr("the scale 'x1' has the element"));
      EXPECT_THAT(error.what(), HasSubstr("calibrate and quantise the model again"));
    }
  }
  const Error length = error_of([&] {
    run("QuantizeLinear", 13, {data(x), fixed(floats({2}, {1, 1}))});
  });
  EXPECT_THAT(length.message(), HasSubstr("2 scales or zero points for axis 1 of [2, 3]"));
  EXPECT_THAT(length.what(), HasSubstr("one for each index of the axis"));
  EXPECT_THAT(error_of([&] {
                run("QuantizeLinear", 13, {data(x), fixed(floats({1, 3}, {1, 1, 1}))});
              }).message(),
              HasSubstr("f32[1, 3] for [2, 3]"));
  EXPECT_EQ(error_of([&] {
              run("DequantizeLinear", 13, {data(x), data(floats({}, {1}))});
            }).code(),
            ErrorCode::kInvalid);
}

TEST(Quantization, Dynamic) {
  const auto y = run("DynamicQuantizeLinear", 11, {data(floats({3}, {0, 51, 255}))}, {}, 3);
  expect(y[0], {3}, {0, 51, 255});
  expect(y[1], {}, {1});
  expect(y[2], {}, {0});
  const auto below = run("DynamicQuantizeLinear", 11, {data(floats({2}, {-255, -51}))}, {}, 3);
  expect(below[0], {2}, {0, 204});
  expect(below[2], {}, {255});
  const auto nothing = run("DynamicQuantizeLinear", 11, {data(floats({2}, {0, 0}))}, {}, 3);
  expect(nothing[0], {2}, {0, 0});
  expect(nothing[1], {}, {1});
}

TEST(Quantization, MatrixProducts) {
  const HostTensor a = bytes({2, 2}, {12, 10, 255, 0});
  const HostTensor b = bytes({2, 2}, {1, 2, 3, 4});
  const HostTensor y = run("MatMulInteger", 10,
                           {data(a), data(b), fixed(bytes({}, {10})), fixed(bytes({}, {1}))})[0];
  EXPECT_EQ(y.dtype, DType::kInt32);
  expect(y, {2, 2}, {0, 2, -20, 215});
  expect(run("MatMulInteger", 10, {data(a), data(b)})[0], {2, 2}, {42, 64, 255, 510});
  // A zero point for each row of a and each column of b.
  expect(run("MatMulInteger", 10,
             {data(a), data(b), data(bytes({2}, {10, 0})), data(bytes({2}, {1, 2}))})[0],
         {2, 2}, {0, 0, 0, 0 * 255});
  const HostTensor one = floats({}, {1});
  expect(run("QLinearMatMul", 21,
             {data(a), fixed(one), fixed(bytes({}, {10})), data(b), fixed(floats({}, {0.5})),
              fixed(bytes({}, {1})), fixed(floats({}, {2})), fixed(bytes({}, {100}))})[0],
         {2, 2}, {100, 100, 95, 154});
  EXPECT_THAT(error_of([&] {
                run("QLinearMatMul", 10,
                    {data(a), fixed(floats({}, {0})), fixed(bytes({}, {0})), data(b), fixed(one),
                     fixed(bytes({}, {0})), fixed(one), fixed(bytes({}, {0}))});
              }).message(),
              HasSubstr("the scale 'x1'"));
}

}  // namespace
}  // namespace cleave::onnx
