#include "ops/attention/kernel_problem.h"

#include "backend/refusals.h"

namespace cleave::backend {
namespace {

bool of_kind(DType type, bool doubles) {
  return is_floating(type) && doubles == (type == DType::kFloat64);
}

// The mask's dimensions are those of the scores, or 1.
bool mask_fits(const KernelProblem& problem, bool doubles) {
  if (problem.inputs.size() < 4 || !problem.inputs[3].present) return true;
  const TensorView& mask = problem.inputs[3];
  if (mask.rank() != 4 || (mask.dtype != DType::kBool && !of_kind(mask.dtype, doubles))) {
    return false;
  }
  const auto& q = problem.inputs[0].shape;
  const int64_t scores[] = {q[0], q[1], q[2], problem.inputs[1].shape[2]};
  for (size_t d = 0; d < 4; ++d) {
    if (mask.shape[d] != 1 && mask.shape[d] != scores[d]) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> AttentionProblem::refuses(const KernelProblem& problem, bool doubles) {
  if (auto reason = refuse_operands(problem, 3, 4)) return reason;
  for (size_t i = 0; i < 3; ++i) {
    const TensorView& view = problem.inputs[i];
    if (view.rank() != 4) return "operands are of rank 4";
    if (!of_kind(view.dtype, doubles)) return doubles ? "it takes f64" : "it takes f32, f16, bf16";
  }
  const auto& q = problem.inputs[0].shape;
  const auto& k = problem.inputs[1].shape;
  const auto& v = problem.inputs[2].shape;
  const TensorView& out = problem.outputs[0];
  if (q[3] != k[3] || k[2] != v[2] || k[1] != v[1] || q[0] != k[0] || q[0] != v[0] ||
      out.shape != std::vector<int64_t>{q[0], q[1], q[2], v[3]}) {
    return "shapes do not fit";
  }
  if (!of_kind(out.dtype, doubles)) return "the result is of another type";
  if (!mask_fits(problem, doubles)) return "the mask does not fit";
  if (!doubles && v[3] > 1 && out.strides[3] != 1)
    return "elements of a result's row do not follow each other";
  if (out.elements() == 0) return std::nullopt;
  const AttentionProblem work(problem);
  if (work.group < 1 || work.key_head(0) < 0 || work.key_head(q[1] - 1) >= k[1]) {
    return "a query head has no key head";
  }
  return std::nullopt;
}

AttentionProblem::AttentionProblem(const KernelProblem& problem)
    : q(problem.inputs[0]), k(problem.inputs[1]), v(problem.inputs[2]), out(problem.outputs[0]) {
  const auto& shape = problem.inputs[0].shape;
  batches = shape[0];
  heads = shape[1];
  rows = shape[2];
  depth = shape[3];
  keys = problem.inputs[1].shape[2];
  width = problem.inputs[2].shape[3];
  has_mask = problem.inputs.size() > 3 && problem.inputs[3].present;
  if (has_mask) mask = Operand4(problem.inputs[3]);
  const Attributes& attributes = problem.attributes;
  const int64_t kv_heads = problem.inputs[1].shape[1];
  group = attributes.has("group") ? attributes.integer("group")
                                  : (kv_heads == 0 ? 1 : heads / kv_heads);
  head_offset = attributes.integer("head_offset", 0);
  kv_offset = attributes.integer("kv_offset", 0);
  causal = attributes.integer("causal", 0) != 0;
  visible = attributes.integer("row_offset", 0) + keys - attributes.integer("rows_total", rows) + 1;
  wide_scale = attributes.real("scale");
  scale = static_cast<float>(wide_scale);
}

HeadGroup AttentionProblem::head_group(int64_t index) const {
  HeadGroup result{.batch = index / groups_of_batch(),
                   .key_head = key_head(0) + index % groups_of_batch()};
  const int64_t first = (result.key_head + kv_offset) * group - head_offset;
  result.first = std::max<int64_t>(0, first);
  result.heads = std::min(heads, first + group) - result.first;
  return result;
}

}  // namespace cleave::backend
