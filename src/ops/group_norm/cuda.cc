// Group norm on GPUs: a group is a row.
#include "backend/cuda/normalise_rows.h"
#include "ops/group_norm/cuda_channels_last.h"
#include "types/arithmetic.h"

namespace cleave::backend {
namespace {

NormalisedRows rows_of(const KernelProblem& problem) {
  const AxisView view(problem.inputs[0].shape, 1);
  const int64_t channels = problem.attributes.integer("group_channels");
  const int64_t groups = view.extent / channels;
  return {.rows = view.outer * groups,
          .length = channels * view.inner,
          .epsilon = problem.attributes.real("epsilon"),
          .channels = channels,
          .groups = groups};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 3, 3)) return reason;
  const DType type = problem.inputs[0].dtype;
  if (!is_floating(type)) return "it takes floating types";
  for (const TensorView* view : {&problem.inputs[1], &problem.inputs[2], &problem.outputs[0]}) {
    if (view->dtype != type) return "operands and results are of one type";
  }
  if (auto reason = refuse_strides(problem)) return reason;
  return rows_of(problem).refuses();
}

CudaRun prepare(const KernelProblem& problem, CudaDevice& device) {
  return prepare_normalisation(problem, rows_of(problem), device);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_group_norm_cuda() {
  return {std::make_shared<SimpleCudaKernel>("group_norm", "group_norm.groups", refuses, prepare),
          make_channels_last_group_norm_cuda()};
}

}  // namespace cleave::backend
