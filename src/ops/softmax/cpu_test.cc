// Row-wise kernels: softmax, layer_norm, rms_norm.
#include <limits>

#include "backend/builtin_kernels.h"
#include "tests/support/kernel_harness.h"

namespace cleave::backend {
namespace {

constexpr DType kFloating[] = {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64};

TEST(Softmax, EqualsTheReferenceAlongEveryAxis) {
  const std::vector<std::vector<int64_t>> shapes = {{1},       {7, 300}, {3, 5, 17},
                                                    {2, 0, 4}, {4, 1},   {3000}};
  for (DType type : kFloating) {
    for (const auto& shape : shapes) {
      const HostTensor x = random_tensor(type, shape, 1, -9, 9);
      for (size_t axis = 0; axis < shape.size(); ++axis) {
        check_case({.op = "softmax",
                    .attributes = {{"axis", Dim(static_cast<int64_t>(axis))}},
                    .inputs = {&x},
                    .outputs = {HostTensor(type, shape)}});
      }
    }
  }
}

TEST(Softmax, KeepsHiddenColumnsAtZeroAndNaNVisible) {
  HostTensor x = random_tensor(DType::kFloat32, {3, 40}, 1);
  x.set(5, -std::numeric_limits<double>::infinity());
  x.set(45, std::numeric_limits<double>::quiet_NaN());
  check_case({.op = "softmax",
              .attributes = {{"axis", Dim(1)}},
              .inputs = {&x},
              .outputs = {HostTensor(DType::kFloat32, {3, 40})}});
}

// Rows of more than one block, of elements that fill no vector, one and several.
TEST(Softmax, LongRows) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (DType type : kFloating) {
    for (const auto& shape :
         std::vector<std::vector<int64_t>>{{1, 70000}, {3, 20001}, {2, 16390}}) {
      HostTensor x = random_tensor(type, shape, 1, -9, 9);
      const int64_t length = shape[1];
      const auto check = [&] {
        check_case({.op = "softmax",
                    .attributes = {{"axis", Dim(1)}},
                    .inputs = {&x},
                    .outputs = {HostTensor(type, shape)}});
      };
      check();
      for (int64_t i = 0; i < length / 2; ++i) x.set(i, -infinity);  // whole parts
      check();
      x.set(length - 1, std::numeric_limits<double>::quiet_NaN());
      if (shape[0] > 1) x.set(2 * length - 5, infinity);
      check();
    }
  }
}

TEST(Normalisation, EqualsTheReferenceWithAndWithoutScaleAndBias) {
  for (DType type : kFloating) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{3, 4, 384}, {5, 1, 7}, {0, 2, 3}, {2, 3, 1000}}) {
      for (int64_t axes : {1, 2}) {
        std::vector<int64_t> last(shape.end() - axes, shape.end());
        const HostTensor x = random_tensor(type, shape, 1, 1, 5);
        const HostTensor scale = random_tensor(type, last, 2);
        const HostTensor bias = random_tensor(type, last, 3);
        const Attributes attributes = {{"axes", Dim(axes)}, {"epsilon", 1e-5}};
        const std::vector<HostTensor> out = {HostTensor(type, shape)};
        using Inputs = std::vector<const HostTensor*>;
        for (const Inputs& inputs : {Inputs{&x}, Inputs{&x, &scale}, Inputs{&x, &scale, &bias},
                                     Inputs{&x, nullptr, &bias}}) {
          check_case(
              {.op = "layer_norm", .attributes = attributes, .inputs = inputs, .outputs = out});
        }
        for (const Inputs& inputs : {Inputs{&x}, Inputs{&x, &scale}}) {
          check_case(
              {.op = "rms_norm", .attributes = attributes, .inputs = inputs, .outputs = out});
        }
      }
    }
  }
}

TEST(Normalisation, RefusesStridedRowsByName) {
  const Attributes attributes = {{"axes", Dim(1)}, {"epsilon", 1e-5}};
  TensorView x = TensorView::dense(DType::kFloat32, {4, 4});
  x.strides = {1, 4};
  const KernelProblem problem{.op = "layer_norm",
                              .attributes = attributes,
                              .inputs = {x},
                              .outputs = {TensorView::dense(DType::kFloat32, {4, 4})}};
  const auto choice = builtin_cpu_kernels().choose(problem);
  EXPECT_EQ(choice.kernel, nullptr);
  EXPECT_EQ(choice.text(), "none (layer_norm.rows: operand 0 is not dense)");
}

}  // namespace
}  // namespace cleave::backend
