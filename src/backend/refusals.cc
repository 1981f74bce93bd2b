#include "backend/refusals.h"

#include <algorithm>

namespace cleave::backend {

std::optional<std::string> refuse_operands(const KernelProblem& problem, size_t least,
                                           size_t most) {
  if (problem.inputs.size() < least || problem.inputs.size() > most || problem.outputs.empty()) {
    return "it takes " + std::to_string(least) + " to " + std::to_string(most) + " operands";
  }
  for (size_t i = 0; i < least; ++i) {
    if (!problem.inputs[i].present) return "operand " + std::to_string(i) + " is not there";
  }
  return std::nullopt;
}

std::optional<std::string> refuse_strides(const KernelProblem& problem) {
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    if (problem.inputs[i].present && !problem.inputs[i].is_dense()) {
      return "operand " + std::to_string(i) + " is not dense";
    }
  }
  for (const TensorView& view : problem.outputs) {
    if (!view.is_dense()) return "a result is not dense";
  }
  return std::nullopt;
}

std::optional<Format> common_format(const KernelProblem& problem) {
  for (const Format format : kFormats) {
    const auto lies = [&](const TensorView& view) {
      return !view.present || view.has_format(format);
    };
    if (std::all_of(problem.inputs.begin(), problem.inputs.end(), lies) &&
        std::all_of(problem.outputs.begin(), problem.outputs.end(), lies)) {
      return format;
    }
  }
  return std::nullopt;
}

std::optional<std::string> refuse_indexing(const KernelProblem& problem, size_t operands) {
  if (auto reason = refuse_operands(problem, operands, operands)) return reason;
  const DType type = problem.inputs[1].dtype;
  if (type != DType::kInt64 && type != DType::kInt32) return "indices are i64 or i32";
  if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "the result is of another type";
  return refuse_strides(problem);
}

}  // namespace cleave::backend
