#include "ops/matmul/kernel_layout.h"

#include <utility>

namespace cleave::backend {
namespace {

bool transposed(const KernelProblem& problem, const char* which) {
  return problem.attributes.integer(which, 0) != 0;
}

// Strides along the result's batch and row dimensions (all but n): of a, b, the chain's operands,
// the results.
std::vector<std::vector<int64_t>> leading_strides(const KernelProblem& problem) {
  const auto& shape = problem.outputs[0].shape;
  const size_t leading = shape.size() - 1;
  std::vector<std::vector<int64_t>> all;
  std::vector<int64_t> a = problem.inputs[0].strides;
  if (transposed(problem, "transpose_a")) std::swap(a[leading - 1], a[leading]);
  a.pop_back();
  all.push_back(a);
  std::vector<int64_t> b(leading, 0);
  if (problem.inputs[1].rank() > 2) {
    for (size_t d = 0; d + 1 < leading; ++d) b[d] = problem.inputs[1].strides[d];
  }
  all.push_back(b);
  for (size_t i = 2; i < problem.inputs.size(); ++i) {
    auto strides = broadcast_strides(problem.inputs[i], shape);
    strides.pop_back();
    all.push_back(strides);
  }
  for (const TensorView& view : problem.outputs) {
    all.emplace_back(view.strides.begin(), view.strides.end() - 1);
  }
  return all;
}

// The dimensions [begin, end) of them.
IndexSpace part(const KernelProblem& problem, size_t begin, size_t end) {
  std::vector<std::vector<int64_t>> strides;
  for (const auto& list : leading_strides(problem)) {
    strides.emplace_back(list.begin() + static_cast<ptrdiff_t>(begin),
                         list.begin() + static_cast<ptrdiff_t>(end));
  }
  const auto& shape = problem.outputs[0].shape;
  return IndexSpace(std::span(shape).subspan(begin, end - begin), std::move(strides));
}

// How many of the result's dimensions are batch dimensions.
size_t batch_rank(const KernelProblem& problem) {
  return problem.inputs[1].rank() > 2 ? problem.outputs[0].rank() - 2 : 0;
}

}  // namespace

std::optional<std::string> MatmulLayout::refuses(const KernelProblem& problem) {
  if (problem.inputs.size() < 2 || problem.outputs.empty()) return "it takes a and b";
  const TensorView& a = problem.inputs[0];
  const TensorView& b = problem.inputs[1];
  const auto& shape = problem.outputs[0].shape;
  if (!a.present || !b.present || a.rank() < 2 || b.rank() < 2 || shape.size() != a.rank() ||
      (b.rank() > 2 && b.rank() != a.rank())) {
    return "ranks do not fit";
  }
  for (const TensorView& view : problem.outputs) {
    if (view.shape != shape) return "results differ in shape";
  }
  const size_t last = a.rank() - 1;
  const bool ta = transposed(problem, "transpose_a");
  const bool tb = transposed(problem, "transpose_b");
  const int64_t k = a.shape[ta ? last - 1 : last];
  const int64_t b_k = b.shape[b.rank() - (tb ? 1 : 2)];
  const int64_t b_n = b.shape[b.rank() - (tb ? 2 : 1)];
  bool fits = k == b_k && shape[last] == b_n && shape[last - 1] == a.shape[ta ? last : last - 1];
  for (size_t d = 0; d + 1 < last; ++d) {
    fits = fits && shape[d] == a.shape[d] && (b.rank() == 2 || b.shape[d] == a.shape[d]);
  }
  if (!fits) return "shapes do not fit";
  return std::nullopt;
}

MatmulLayout::MatmulLayout(const KernelProblem& problem)
    : a_type(problem.inputs[0].dtype),
      b_type(problem.inputs[1].dtype),
      batch_space(part(problem, 0, batch_rank(problem))),
      rows(part(problem, batch_rank(problem), problem.outputs[0].rank() - 1)) {
  const TensorView& a = problem.inputs[0];
  const TensorView& b = problem.inputs[1];
  const bool ta = transposed(problem, "transpose_a");
  const bool tb = transposed(problem, "transpose_b");
  const size_t b_row = b.rank() - (tb ? 1 : 2);
  const size_t b_column = b.rank() - (tb ? 2 : 1);
  batches = batch_space.elements;
  k = b.shape[b_row];
  n = b.shape[b_column];
  a_k_stride = a.strides[a.rank() - (ta ? 2 : 1)];
  b_k_stride = b.strides[b_row];
  b_n_stride = b.strides[b_column];
  column_strides = {0, b_n_stride};
  for (size_t i = 2; i < problem.inputs.size(); ++i) {
    column_strides.push_back(broadcast_strides(problem.inputs[i], problem.outputs[0].shape).back());
  }
  for (const TensorView& view : problem.outputs) column_strides.push_back(view.strides.back());
}

}  // namespace cleave::backend
