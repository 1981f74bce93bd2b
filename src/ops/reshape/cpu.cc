// Ops that only move elements, on the CPU: each is one or more strided copies, which take any
// views. Lowering turns most of them into views, so that they are rarely run.
#include <memory>
#include <utility>

#include "backend/cpu/simple_kernel.h"
#include "backend/cpu/strided_copy.h"
#include "base/thread_pool.h"
#include "ops/reshape/kernel_pieces.h"

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

RunFunction prepare(const KernelProblem& problem, const Movement& movement) {
  const auto size = static_cast<int64_t>(size_of(problem.outputs[0].dtype));
  std::vector<Piece> pieces;
  for (MovedPiece& moved : movement.pieces_of(problem)) {
    pieces.push_back({.input = moved.input,
                      .output = moved.output,
                      .from_offset = moved.from_offset * size,
                      .to_offset = moved.to_offset * size,
                      .copy = StridedCopy(moved.shape, std::move(moved.from_strides),
                                          std::move(moved.to_strides), static_cast<size_t>(size))});
  }
  return [pieces = std::move(pieces)](std::span<const void* const> inputs,
                                      std::span<void* const> outputs, ThreadPool& pool) {
    for (const Piece& piece : pieces) {
      piece.copy.run(static_cast<const std::byte*>(inputs[piece.input]) + piece.from_offset,
                     static_cast<std::byte*>(outputs[piece.output]) + piece.to_offset, pool);
    }
  };
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reshape_cpu() {
  std::vector<std::shared_ptr<const Kernel>> kernels;
  for (const Movement& movement : movements()) {
    const std::string op(movement.op);
    kernels.push_back(std::make_shared<SimpleKernel>(
        op, op + ".strided",
        [&movement](const KernelProblem& problem) { return movement.refuses(problem); },
        [&movement](const KernelProblem& problem) { return prepare(problem, movement); }));
  }
  return kernels;
}

}  // namespace cleave::backend
