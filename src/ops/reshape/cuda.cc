// Ops that only move elements, on GPUs: each is one or more strided copies, which take any views.
// Lowering turns most of them into views, so that they are rarely run.
#include <memory>
#include <utility>

#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/strided_copy.h"

namespace cleave::backend {
namespace {

using Pieces = std::vector<CopyPiece>;

// From `strides` beginning at element `offset` of the input to the whole output.
Pieces one_copy(const KernelProblem& problem, std::vector<int64_t> strides, int64_t offset) {
  const TensorView& y = problem.outputs[0];
  return {{.from_offset = offset, .space = IndexSpace(y.shape, {std::move(strides), y.strides})}};
}

Pieces pieces_of_copy(const KernelProblem& problem) {
  return one_copy(problem, problem.inputs[0].strides, 0);
}

Pieces pieces_of_broadcast(const KernelProblem& problem) {
  return one_copy(problem, broadcast_strides(problem.inputs[0], problem.outputs[0].shape), 0);
}

// Both dense: the order of elements is what stays.
Pieces pieces_of_reshape(const KernelProblem& problem) {
  const int64_t count[] = {problem.outputs[0].elements()};
  return {{.space = IndexSpace(count, {{1}, {1}})}};
}

Pieces pieces_of_transpose(const KernelProblem& problem) {
  std::vector<int64_t> strides;
  for (int64_t d : problem.attributes.integers("perm")) {
    strides.push_back(problem.inputs[0].strides.at(static_cast<size_t>(d)));
  }
  return one_copy(problem, std::move(strides), 0);
}

Pieces pieces_of_slice(const KernelProblem& problem) {
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

Pieces pieces_of_reverse(const KernelProblem& problem) {
  std::vector<int64_t> strides = problem.inputs[0].strides;
  int64_t offset = 0;
  for (int64_t axis : problem.attributes.integers("axes")) {
    int64_t& stride = strides.at(static_cast<size_t>(axis));
    offset += (problem.inputs[0].shape[static_cast<size_t>(axis)] - 1) * stride;
    stride = -stride;
  }
  return one_copy(problem, std::move(strides), problem.outputs[0].elements() == 0 ? 0 : offset);
}

Pieces pieces_of_concat(const KernelProblem& problem) {
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  const TensorView& y = problem.outputs[0];
  Pieces pieces;
  int64_t at = 0;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const TensorView& x = problem.inputs[i];
    pieces.push_back({.input = i,
                      .to_offset = at * y.strides.at(axis),
                      .space = IndexSpace(x.shape, {x.strides, y.strides})});
    at += x.shape.at(axis);
  }
  return pieces;
}

Pieces pieces_of_split(const KernelProblem& problem) {
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  const TensorView& x = problem.inputs[0];
  Pieces pieces;
  int64_t at = 0;
  for (size_t i = 0; i < problem.outputs.size(); ++i) {
    const TensorView& y = problem.outputs[i];
    pieces.push_back({.output = i,
                      .from_offset = at * x.strides.at(axis),
                      .space = IndexSpace(y.shape, {x.strides, y.strides})});
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

std::shared_ptr<const Kernel> movement(const char* op, Pieces (*pieces_of)(const KernelProblem&),
                                       bool dense = false) {
  const auto refuses = [=](const KernelProblem& problem) -> std::optional<std::string> {
    if (!same_types(problem)) return "operands and results are of one type";
    if (dense) {
      if (auto reason = refuse_strides(problem)) return reason;
    }
    return refuse_copies(pieces_of(problem));
  };
  const auto prepare = [=](const KernelProblem& problem, CudaDevice& device) -> CudaRun {
    const auto copies = std::make_shared<const CudaCopies>(
        pieces_of(problem), size_of(problem.outputs[0].dtype), device);
    return {[copies](std::span<const void* const> inputs, std::span<void* const> outputs,
                     const Launch& launch) { copies->run(inputs, outputs, launch.stream); }};
  };
  return std::make_shared<SimpleCudaKernel>(op, std::string(op) + ".strided", refuses, prepare);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reshape_cuda() {
  return {movement("copy", pieces_of_copy),
          movement("broadcast", pieces_of_broadcast),
          movement("reshape", pieces_of_reshape, true),
          movement("transpose", pieces_of_transpose),
          movement("slice", pieces_of_slice),
          movement("reverse", pieces_of_reverse),
          movement("concat", pieces_of_concat),
          movement("split", pieces_of_split)};
}

}  // namespace cleave::backend
