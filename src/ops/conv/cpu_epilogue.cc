#include "ops/conv/cpu_epilogue.h"

#include <algorithm>

namespace cleave::backend {
namespace {

// Strides along the result's shape: of the kernel's own operands none, of those of the chain, of
// the results.
std::vector<std::vector<int64_t>> strides_of(const KernelProblem& problem) {
  const auto& shape = problem.outputs[0].shape;
  std::vector<std::vector<int64_t>> all(2, std::vector<int64_t>(shape.size(), 0));
  for (size_t i = 2; i < problem.inputs.size(); ++i) {
    all.push_back(broadcast_strides(problem.inputs[i], shape));
  }
  for (const TensorView& view : problem.outputs) all.push_back(view.strides);
  return all;
}

IndexSpace places_of(const KernelProblem& problem) {
  std::vector<std::vector<int64_t>> strides = strides_of(problem);
  for (auto& list : strides) list.erase(list.begin(), list.begin() + kImage);
  return {std::span(problem.outputs[0].shape).subspan(kImage), std::move(strides)};
}

}  // namespace

ConvEpilogue::ConvEpilogue(const KernelProblem& problem, DType sum)
    : inputs_(problem.inputs.size()), chain_(problem, sum), places_(places_of(problem)) {
  for (const auto& strides : strides_of(problem)) leading_.push_back({strides[0], strides[1]});
}

void ConvEpilogue::run(const void* sums, int64_t image, int64_t channel, int64_t first,
                       int64_t count, std::span<const void* const> inputs,
                       std::span<void* const> outputs) const {
  const auto before = [&](size_t operand) {
    return image * leading_[operand][0] + channel * leading_[operand][1];
  };
  const auto* data = static_cast<const std::byte*>(sums);
  const auto size = static_cast<int64_t>(size_of(chain_.result_type()));
  // Runs along which every operand has one stride.
  const int64_t run = places_.extents.size() <= 1 ? places_.elements : places_.extents.back();
  for (int64_t at = first; at < first + count;) {
    const int64_t part = std::min(run - at % run, first + count - at);
    chain_.run(data + (at - first) * size, part, inputs, outputs, [&](size_t operand) {
      return Chain::Place{before(operand) + places_.offset(operand, at),
                          places_.linear_stride(operand)};
    });
    at += part;
  }
}

float* ConvEpilogue::direct(std::span<void* const> outputs, int64_t image, int64_t channel,
                            int64_t place, int64_t& channel_stride) const {
  if (!chain_.is_plain_float() || places_.extents.size() > 1 ||
      (places_.elements > 1 && places_.linear_stride(inputs_) != 1)) {
    return nullptr;
  }
  channel_stride = leading_[inputs_][1];
  return static_cast<float*>(outputs[0]) + image * leading_[inputs_][0] + channel * channel_stride +
         place;
}

}  // namespace cleave::backend
