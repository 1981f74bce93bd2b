// Chains of element-wise operations on GPUs, for kernels of other ops that have one behind them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "backend/cuda/cuda_device.h"
#include "backend/kernel.h"

namespace cleave::backend {

// `problem` is one of fused_elementwise.
std::optional<std::string> refuse_elementwise(const KernelProblem& problem);
std::unique_ptr<PreparedKernel> prepare_elementwise(const KernelProblem& problem,
                                                    CudaDevice& device);

// The chain behind an op of two operands (attributes epilogue_*), as a kernel of its own. The op's
// result is of its first operand's type and lies as those of the chain do; the chain's other
// operands come behind the two.
class CudaChain {
 public:
  // Whether anything stands behind the op.
  static bool is_there(const KernelProblem& problem);
  // Why this is not the way to carry it out; nothing where it is, or where there is no chain.
  static std::optional<std::string> refuses(const KernelProblem& problem);
  // Bytes of workspace for the op's result; 0 where that is made where the chain's will be.
  static int64_t workspace_bytes(const KernelProblem& problem);

  CudaChain(const KernelProblem& problem, CudaDevice& device);

  int64_t workspace_bytes() const { return workspace_bytes_; }
  // Where the op puts its result.
  void* result(std::span<void* const> outputs, std::byte* workspace) const {
    return workspace_bytes_ > 0 ? workspace : outputs[0];
  }
  // Nothing where there is no chain.
  void run(const void* result, std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const;

 private:
  std::unique_ptr<const PreparedKernel> chain_;  // null: there is none
  int64_t workspace_bytes_ = 0;
};

}  // namespace cleave::backend
