// Chain: the element-wise operations that are carried out on an op's result while it is in the
// cache (`epilogue_*` of an instruction), or the result as it is where there are none.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/fused_evaluator.h"
#include "backend/kernel.h"

namespace cleave::backend {

class Chain {
 public:
  // Of the kernel.
  static constexpr size_t kMostInputs = 32;
  static constexpr size_t kMostOutputs = 8;

  // Why the chain of a kernel with two operands of its own, whose result comes as `result`, cannot
  // be carried out.
  static std::optional<std::string> refuses(const KernelProblem& problem, DType result);
  Chain(const KernelProblem& problem, DType result);

  DType result_type() const { return input_types_[0]; }
  // Nothing but a float32 result that is written as it is: kernels may write it themselves.
  bool is_plain_float() const;

  // `count` elements of the result that lie one behind the other. `at(i)` gives offset and stride,
  // in elements, of the kernel's operand i: its inputs, then its results.
  template <class At>
  void run(const void* result, int64_t count, std::span<const void* const> inputs,
           std::span<void* const> outputs, const At& at) const {
    std::array<InputSpan, kMostInputs> in;
    std::array<OutputSpan, kMostOutputs> out;
    in[0] = {result, 1};
    for (size_t i = 2; i < inputs_; ++i) {
      const Place place = at(i);
      in[i - 1] = {static_cast<const std::byte*>(inputs[i]) +
                       place.offset * static_cast<int64_t>(size_of(input_types_[i - 1])),
                   place.stride};
    }
    for (size_t i = 0; i < output_types_.size(); ++i) {
      const Place place = at(inputs_ + i);
      out[i] = {static_cast<std::byte*>(outputs[i]) +
                    place.offset * static_cast<int64_t>(size_of(output_types_[i])),
                place.stride};
    }
    evaluator_.run(count, std::span(in).first(inputs_ - 1),
                   std::span(out).first(output_types_.size()));
  }

  struct Place {
    int64_t offset;
    int64_t stride;
  };

 private:
  size_t inputs_;                    // of the kernel
  std::vector<DType> input_types_;   // of the chain: the result, then the inputs from the third on
  std::vector<DType> output_types_;  // of the kernel
  bool empty_;
  FusedEvaluator evaluator_;
};

}  // namespace cleave::backend
