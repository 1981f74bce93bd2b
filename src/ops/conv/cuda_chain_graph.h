// The chain behind a convolution as operations of cuDNN's graph.
#pragma once

#include <optional>
#include <vector>

#include "backend/kernel.h"
#include "types/fused.h"

namespace cleave::backend {

// An operand of the chain as cuDNN has it: dimensions that it is repeated along are 1.
struct ChainOperand {
  size_t input = 0;  // of the problem
  TensorView view;
};

// A chain that cuDNN's graph can be given.
struct ChainGraph {
  FusedProgram program;                // of which operand 0 is the convolution's result
  std::vector<ChainOperand> operands;  // of the others
  DType result = DType::kFloat32;

  // Of results in `y`'s dimensions; nothing where the problem's chain has operations that cuDNN has
  // not, or means them differently, or its operands lie as cuDNN does not take them. Without a
  // chain, that has no steps.
  static std::optional<ChainGraph> of(const KernelProblem& problem, const TensorView& y,
                                      Format format);
};

// What cuDNN has for an operation of floating point.
enum class ChainOp {
  kNone,
  kNothing,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kNeg,
  kAbs,
  kExp,
  kRelu,
  kLeakyRelu,
  kElu,
  kSigmoid,
  kTanh,
  kSilu,
  kGelu,
  kGeluTanh
};
// kNothing: the operand as it is.
ChainOp chain_op(const FusedStep& step);

}  // namespace cleave::backend
