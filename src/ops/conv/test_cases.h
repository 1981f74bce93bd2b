// What tests of convolutions share: their sizes, and cases made of them.
#pragma once

#include <string>
#include <vector>

#include "tests/support/kernel_harness.h"

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
// Then one of the operands, or the result behind them, begins at an odd element.
inline void shift(KernelCase& test, size_t operand) {
  Lay& lay = operand < test.inputs.size() ? test.input_lays[operand] : test.output_lays[0];
  lay = lay == Lay::kChannelsLast ? Lay::kShiftedChannelsLast : Lay::kShifted;
}
inline constexpr Lay kLays[] = {Lay::kDense, Lay::kChannelsLast};

inline std::string name_of(const Sizes& sizes) {
  return TensorView::dense(DType::kFloat32, sizes.x).text() + " " +
         TensorView::dense(DType::kFloat32, sizes.w).text();
}

}  // namespace cleave::backend
