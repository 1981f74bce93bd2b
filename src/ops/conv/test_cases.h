// What tests of convolutions share: their sizes, and cases made of them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/kernel_harness.h"
#include "types/fused.h"

namespace cleave::backend {

struct Sizes {
  std::vector<int64_t> x;
  std::vector<int64_t> w;
  std::vector<Dim> strides;
  std::vector<Dim> dilations;
  std::vector<Dim> low;
  std::vector<int64_t> outputs;
  int64_t groups = 1;

  std::vector<int64_t> y() const {
    std::vector<int64_t> shape = {x[0], w[0]};
    shape.insert(shape.end(), outputs.begin(), outputs.end());
    return shape;
  }
};

inline KernelCase case_of(const Sizes& sizes, const HostTensor& x, const HostTensor& w) {
  return {.op = "conv",
          .attributes = {{"strides", sizes.strides},
                         {"dilations", sizes.dilations},
                         {"low", sizes.low},
                         {"outputs", std::vector<Dim>(sizes.outputs.begin(), sizes.outputs.end())},
                         {"groups", Dim(sizes.groups)}},
          .inputs = {&x, &w},
          .outputs = {HostTensor(x.dtype, sizes.y())}};
}

// x, y and a residual of y's shape lie so; a bias lies dense.
inline void lie(KernelCase& test, Lay lay) {
  test.input_lays = {lay, Lay::kDense, Lay::kDense, lay};
  test.output_lays = {lay};
}
inline constexpr Lay kLays[] = {Lay::kDense, Lay::kChannelsLast};

inline std::string name_of(const Sizes& sizes) {
  return TensorView::dense(DType::kFloat32, sizes.x).text() + " " +
         TensorView::dense(DType::kFloat32, sizes.w).text();
}

// relu(conv + bias) + residual, and what it makes of `expected`. The bias is broadcast, as in ONNX
// where both have as many dimensions.
inline void add_chain(KernelCase& test, const HostTensor& bias, const HostTensor& residual,
                      HostTensor& expected) {
  const std::vector<int64_t>& y = expected.shape;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    int64_t at = 0;
    int64_t left = i;
    int64_t stride = 1;
    for (size_t d = y.size(); d-- > 0;) {
      if (bias.shape[d] != 1) {
        at += left % y[d] * stride;
        stride *= bias.shape[d];
      }
      left /= y[d];
    }
    expected.set(i, std::max(0.0, expected.get(i) + bias.get(at)) + residual.get(i));
  }
  const DType type = expected.dtype;
  FusedProgram{.inputs = 3,
               .steps = {{.op = "add", .args = {0, 1}, .type = type},
                         {.op = "relu", .args = {3}, .type = type},
                         {.op = "add", .args = {4, 2}, .type = type}},
               .outputs = {5}}
      .to_attributes(test.attributes, "epilogue_");
  test.inputs.push_back(&bias);
  test.inputs.push_back(&residual);
}

}  // namespace cleave::backend
