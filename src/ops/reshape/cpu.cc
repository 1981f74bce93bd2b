// Ops that only move elements, on the CPU: each is one or more strided copies, which take any
// views. Lowering turns most of them into views, so that they are rarely run.
#include <memory>
#include <utility>

#include "backend/cpu/simple_kernel.h"
#include "backend/cpu/strided_copy.h"
#include "base/thread_pool.h"

namespace cleave::backend {
namespace {

// One copy between operands: their first elements lie `from_offset` and `to_offset` bytes on.
struct Piece {
  size_t input = 0;
  size_t output = 0;
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  StridedCopy copy;
};

RunFunction run_pieces(std::vector<Piece> pieces) {
  return [pieces = std::move(pieces)](std::span<const void* const> inputs,
                                      std::span<void* const> outputs, ThreadPool& pool) {
    for (const Piece& piece : pieces) {
      piece.copy.run(static_cast<const std::byte*>(inputs[piece.input]) + piece.from_offset,
                     static_cast<std::byte*>(outputs[piece.output]) + piece.to_offset, pool);
    }
  };
}

// From `strides` beginning at element `offset` of the input to the whole output.
RunFunction one_copy(const KernelProblem& problem, std::vector<int64_t> strides, int64_t offset) {
  const TensorView& y = problem.outputs[0];
  const size_t size = size_of(y.dtype);
  return run_pieces({{.from_offset = offset * static_cast<int64_t>(size),
                      .copy = StridedCopy(y.shape, std::move(strides), y.strides, size)}});
}

RunFunction prepare_copy(const KernelProblem& problem) {
  return one_copy(problem, problem.inputs[0].strides, 0);
}

RunFunction prepare_broadcast(const KernelProblem& problem) {
  return one_copy(problem, broadcast_strides(problem.inputs[0], problem.outputs[0].shape), 0);
}

// Both dense: the order of elements is what stays.
RunFunction prepare_reshape(const KernelProblem& problem) {
  const TensorView& y = problem.outputs[0];
  const int64_t count[] = {y.elements()};
  return run_pieces({{.copy = StridedCopy(count, {1}, {1}, size_of(y.dtype))}});
}

RunFunction prepare_transpose(const KernelProblem& problem) {
  std::vector<int64_t> strides;
  for (int64_t d : problem.attributes.integers("perm")) {
    strides.push_back(problem.inputs[0].strides.at(static_cast<size_t>(d)));
  }
  return one_copy(problem, std::move(strides), 0);
}

RunFunction prepare_slice(const KernelProblem& problem) {
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

RunFunction prepare_reverse(const KernelProblem& problem) {
  std::vector<int64_t> strides = problem.inputs[0].strides;
  int64_t offset = 0;
  for (int64_t axis : problem.attributes.integers("axes")) {
    int64_t& stride = strides.at(static_cast<size_t>(axis));
    offset += (problem.inputs[0].shape[static_cast<size_t>(axis)] - 1) * stride;
    stride = -stride;
  }
  return one_copy(problem, std::move(strides), problem.outputs[0].elements() == 0 ? 0 : offset);
}

RunFunction prepare_concat(const KernelProblem& problem) {
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  const TensorView& y = problem.outputs[0];
  const size_t size = size_of(y.dtype);
  std::vector<Piece> pieces;
  int64_t at = 0;
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const TensorView& x = problem.inputs[i];
    pieces.push_back({.input = i,
                      .to_offset = at * y.strides.at(axis) * static_cast<int64_t>(size),
                      .copy = StridedCopy(x.shape, x.strides, y.strides, size)});
    at += x.shape.at(axis);
  }
  return run_pieces(std::move(pieces));
}

RunFunction prepare_split(const KernelProblem& problem) {
  const auto axis = static_cast<size_t>(problem.attributes.integer("axis"));
  const TensorView& x = problem.inputs[0];
  const size_t size = size_of(x.dtype);
  std::vector<Piece> pieces;
  int64_t at = 0;
  for (size_t i = 0; i < problem.outputs.size(); ++i) {
    const TensorView& y = problem.outputs[i];
    pieces.push_back({.output = i,
                      .from_offset = at * x.strides.at(axis) * static_cast<int64_t>(size),
                      .copy = StridedCopy(y.shape, x.strides, y.strides, size)});
    at += y.shape.at(axis);
  }
  return run_pieces(std::move(pieces));
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

std::shared_ptr<const Kernel> movement(const char* op, SimpleKernel::Prepare prepare,
                                       bool dense = false) {
  const auto refuses = [dense](const KernelProblem& problem) -> std::optional<std::string> {
    if (!same_types(problem)) return "operands and results are of one type";
    return dense ? refuse_strides(problem) : std::nullopt;
  };
  return std::make_shared<SimpleKernel>(op, std::string(op) + ".strided", refuses,
                                        std::move(prepare));
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reshape_cpu() {
  return {movement("copy", prepare_copy),
          movement("broadcast", prepare_broadcast),
          movement("reshape", prepare_reshape, true),
          movement("transpose", prepare_transpose),
          movement("slice", prepare_slice),
          movement("reverse", prepare_reverse),
          movement("concat", prepare_concat),
          movement("split", prepare_split)};
}

}  // namespace cleave::backend
