// What stands around a convolution of cuDNN: its operand is padded and its weights are put in the
// format's order before, where they are not so, and a chain of element-wise operations follows.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/strided_copy.h"
#include "ops/conv/cuda_problem.h"
#include "ops/elementwise/cuda_chain.h"

namespace cleave::backend {

class ConvStages {
 public:
  // Why there is nothing for cuDNN in a problem that conv.plain takes; nothing where there is.
  static std::optional<std::string> refuses(const KernelProblem& problem);
  // `pads`: cuDNN is given the operand with its padding. `chains`: the chain is not cuDNN's own.
  ConvStages(const KernelProblem& problem, KernelCache& cache, bool pads, bool chains);

  const CudnnViews& views() const { return views_; }

  // What cuDNN itself may use.
  int64_t most_algorithm_bytes() const { return most_algorithm_bytes_; }
  // Of the stages; what cuDNN uses comes behind.
  int64_t workspace_bytes() const { return bytes_; }
  bool reads_input(size_t input) const { return input != 1 || kept_weight_ == nullptr; }

  struct Operands {
    const void* x;
    const void* w;
    void* y;
    std::byte* workspace;  // for cuDNN
  };
  // Puts on the stream what comes before, and what comes after.
  Operands before(std::span<const void* const> inputs, std::span<void* const> outputs,
                  const Launch& launch) const;
  void after(const Operands& operands, std::span<const void* const> inputs,
             std::span<void* const> outputs, const Launch& launch) const;
  // The whole of it by another kernel, which is given the weights in the format's order, and its
  // workspace behind that of the stages.
  void run_instead(const CudaRun& other, std::span<const void* const> inputs,
                   std::span<void* const> outputs, const Launch& launch) const;

 private:
  const void* weights(std::span<const void* const> inputs, const Launch& launch) const;
  void make_pad(const KernelProblem& problem, CudaDevice& device);
  void make_weight(const KernelProblem& problem, KernelCache& cache, CudaDevice& device);
  int64_t room(int64_t bytes);

  CudnnImage image_;
  CudnnViews views_;
  std::optional<CudaRun> pad_;
  std::optional<CudaCopies> reorder_;
  std::shared_ptr<const Buffer> kept_weight_;
  std::optional<CudaChain> chain_;
  int64_t most_algorithm_bytes_;
  int64_t weight_at_ = 0;
  int64_t sums_at_ = 0;
  int64_t bytes_ = 0;
};

}  // namespace cleave::backend
