// Group norm on GPUs: a group is a row.
#include "backend/cuda/normalise_rows.h"
#include "ops/group_norm/cuda_channels_last.h"
#include "ops/group_norm/cuda_function.h"
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
          .groups = groups,
          .finish = finish_source(problem)};
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_group_norm(problem)) return reason;
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
