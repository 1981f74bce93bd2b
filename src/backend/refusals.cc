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
  for (const Format format : kImageFormats) {
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

std::optional<std::string> refuse_group_normalisation(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 3, 3)) return reason;
  const DType type = problem.inputs[0].dtype;
  if (!is_floating(type)) return "it takes floating types";
  for (const TensorView* view : {&problem.inputs[1], &problem.inputs[2], &problem.outputs[0]}) {
    if (view->dtype != type) return "operands and results are of one type";
  }
  return std::nullopt;
}

std::optional<std::string> refuse_normalisation(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 3)) return reason;
  const TensorView& x = problem.inputs[0];
  const int64_t axes = problem.attributes.integer("axes");
  if (axes < 1 || axes > static_cast<int64_t>(x.rank())) return "axes do not fit";
  int64_t elements = 1;
  for (size_t d = x.rank() - static_cast<size_t>(axes); d < x.rank(); ++d) elements *= x.shape[d];
  for (const TensorView& view : problem.inputs) {
    if (!view.present) continue;
    if (!is_floating(view.dtype)) return "it takes floating types";
    if ((x.dtype == DType::kFloat64) != (view.dtype == DType::kFloat64)) {
      return "it does not mix f64 with other types";
    }
    if (&view != &problem.inputs[0] && view.elements() != elements) {
      return "scale and bias have an element for each one that is normalised";
    }
  }
  if (problem.outputs[0].dtype != x.dtype) return "the result is of another type";
  return refuse_strides(problem);
}

}  // namespace cleave::backend
