#include "ops/reshape/kernel_pieces.h"

#include <utility>

#include "backend/index_space.h"
#include "backend/refusals.h"

namespace cleave::backend {
namespace {

// From `strides` beginning at element `offset` of the input to the whole output.
MovedPieces one_copy(const KernelProblem& problem, std::vector<int64_t> strides, int64_t offset) {
  const TensorView& y = problem.outputs[0];
  return {{.from_offset = offset,
           .shape = y.shape,
           .from_strides = std::move(strides),
           .to_strides = y.strides}};
}

MovedPieces pieces_of_copy(const KernelProblem& problem) {
  return one_copy(problem, problem.inputs[0].strides, 0);
}

MovedPieces pieces_of_broadcast(const KernelProblem& problem) {
  return one_copy(problem, broadcast_strides(problem.inputs[0], problem.outputs[0].shape), 0);
}

// Both dense: the order of elements is what stays.
MovedPieces pieces_of_reshape(const KernelProblem& problem) {
  return {{.shape = {problem.outputs[0].elements()}, .from_strides = {1}, .to_strides = {1}}};
}

MovedPieces pieces_of_transpose(const KernelProblem& problem) {
  std::vector<int64_t> strides;
  for (int64_t d : problem.attributes.integers("perm")) {
    strides.push_back(problem.inputs[0].strides.at(static_cast<size_t>(d)));
  }
  return one_copy(problem, std::move(strides), 0);
}

MovedPieces pieces_of_slice(const KernelProblem& problem) {
  std::vector<int64_t> strides = problem.inputs[0].strides;
  const auto begin = problem.attributes.integers("begin");
  const auto step = problem.attributes.integers("step");
  int64_t offset = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    offset += begin.at(d) * strides[d];
    strides[d] *= step.at(d);
  }
  return one_copy(problem, std::move(strides), offset);
}

MovedPieces pieces_of_reverse(const KernelProblem& problem) {
  std::vector<int64_t> strides = problem.inputs[0].strides;
  int64_t offset = 0;
  for (int64_t axis : problem.attributes.integers("axes")) {
    int64_t& stride = strides.at(static_cast<size_t>(axis));
    offset += (problem.inputs[0].shape[static_cast<size_t>(axis)] - 1) * stride;
    stride = -stride;
  }
  return one_copy(problem, std::move(strides), problem.outputs[0].elements() == 0 ? 0 : offset);
}

MovedPieces pieces_of_concat(const KernelProblem& problem) {
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  const TensorView& y = problem.outputs[0];
  MovedPieces pieces;
  int64_t at = 0;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const TensorView& x = problem.inputs[i];
    pieces.push_back({.input = i,
                      .to_offset = at * y.strides.at(axis),
                      .shape = x.shape,
                      .from_strides = x.strides,
                      .to_strides = y.strides});
    at += x.shape.at(axis);
  }
  return pieces;
}

MovedPieces pieces_of_split(const KernelProblem& problem) {
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  const TensorView& x = problem.inputs[0];
  MovedPieces pieces;
  int64_t at = 0;
  for (size_t i = 0; i < problem.outputs.size(); ++i) {
    const TensorView& y = problem.outputs[i];
    pieces.push_back({.output = i,
                      .from_offset = at * x.strides.at(axis),
                      .shape = y.shape,
                      .from_strides = x.strides,
                      .to_strides = y.strides});
    at += y.shape.at(axis);
  }
  return pieces;
}

bool same_types(const KernelProblem& problem) {
  for (const TensorView& view : problem.inputs) {
    if (!view.present || view.dtype != problem.outputs.at(0).dtype) return false;
  }
  for (const TensorView& view : problem.outputs) {
    if (view.dtype != problem.outputs[0].dtype) return false;
  }
  return !problem.inputs.empty();
}

}  // namespace

std::optional<std::string> Movement::refuses(const KernelProblem& problem) const {
  if (!same_types(problem)) return "operands and results are of one type";
  return op == "reshape" ? refuse_strides(problem) : std::nullopt;
}

std::span<const Movement> movements() {
  static constexpr Movement kMovements[] = {
      {"copy", pieces_of_copy},       {"broadcast", pieces_of_broadcast},
      {"reshape", pieces_of_reshape}, {"transpose", pieces_of_transpose},
      {"slice", pieces_of_slice},     {"reverse", pieces_of_reverse},
      {"concat", pieces_of_concat},   {"split", pieces_of_split}};
  return kMovements;
}

}  // namespace cleave::backend
