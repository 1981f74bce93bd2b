#include "ops/matmul/cpu_epilogue.h"

namespace cleave::backend {

std::optional<std::string> MatmulEpilogue::refuses(const KernelProblem& problem, DType product) {
  return Chain::refuses(problem, product);
}

MatmulEpilogue::MatmulEpilogue(const KernelProblem& problem, const MatmulLayout& layout,
                               DType product)
    : layout_(layout), inputs_(problem.inputs.size()), chain_(problem, product) {}

void MatmulEpilogue::run(const void* product, int64_t batch, int64_t row, int64_t first,
                         int64_t count, std::span<const void* const> inputs,
                         std::span<void* const> outputs) const {
  chain_.run(product, count, inputs, outputs, [&](size_t operand) {
    const int64_t stride = layout_.column_strides[operand];
    return Chain::Place{layout_.batch_space.offset(operand, batch) +
                            layout_.rows.offset(operand, row) + first * stride,
                        stride};
  });
}

std::optional<int64_t> MatmulEpilogue::direct_leading() const {
  if (!chain_.is_plain_float() || layout_.column_strides[inputs_] != 1 ||
      !layout_.rows.is_linear(inputs_)) {
    return std::nullopt;
  }
  return layout_.rows.linear_stride(inputs_);
}

float* MatmulEpilogue::direct(std::span<void* const> outputs, int64_t batch, int64_t row,
                              int64_t column, int64_t& leading) const {
  const auto stride = direct_leading();
  if (!stride) return nullptr;
  leading = *stride;
  return static_cast<float*>(outputs[0]) + layout_.batch_space.offset(inputs_, batch) +
         row * leading + column;
}

}  // namespace cleave::backend
