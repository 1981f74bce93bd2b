// Ops that only move elements, on GPUs: each is one or more strided copies, which take any views.
// Lowering turns most of them into views, so that they are rarely run.
#include <memory>
#include <utility>

#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/strided_copy.h"
#include "ops/reshape/kernel_pieces.h"

namespace cleave::backend {
namespace {

std::vector<CopyPiece> copies_of(MovedPieces pieces) {
  std::vector<CopyPiece> copies;
  for (MovedPiece& piece : pieces) {
    copies.push_back({.input = piece.input,
                      .output = piece.output,
                      .from_offset = piece.from_offset,
                      .to_offset = piece.to_offset,
                      .space = IndexSpace(piece.shape, {std::move(piece.from_strides),
                                                        std::move(piece.to_strides)})});
  }
  return copies;
}

std::shared_ptr<const Kernel> kernel_of(const Movement& movement) {
  const auto refuses = [&movement](const KernelProblem& problem) -> std::optional<std::string> {
    if (auto reason = movement.refuses(problem)) return reason;
    return refuse_copies(copies_of(movement.pieces_of(problem)));
  };
  const auto prepare = [&movement](const KernelProblem& problem, CudaDevice& device) -> CudaRun {
    const auto copies = std::make_shared<const CudaCopies>(
        copies_of(movement.pieces_of(problem)), size_of(problem.outputs[0].dtype), device);
    return {[copies](std::span<const void* const> inputs, std::span<void* const> outputs,
                     const Launch& launch) { copies->run(inputs, outputs, launch.stream); }};
  };
  const std::string op(movement.op);
  return std::make_shared<SimpleCudaKernel>(op, op + ".strided", refuses, prepare);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_reshape_cuda() {
  std::vector<std::shared_ptr<const Kernel>> kernels;
  for (const Movement& movement : movements()) kernels.push_back(kernel_of(movement));
  return kernels;
}

}  // namespace cleave::backend
