// "conv.plain": convolutions of every type and geometry, computed as they are written.
#pragma once

#include <optional>
#include <string>

#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/when_needed.h"
#include "ops/elementwise/cuda_chain.h"

namespace cleave::backend {

std::optional<std::string> refuse_plain_conv(const KernelProblem& problem);
// The weights that it is run with lie in `weights`, whatever the problem says.
CudaRun prepare_plain_conv(const KernelProblem& problem, CudaDevice& device,
                           Format weights = Format::kRowMajor);

// The same for a kernel whose library does not take operands that begin anywhere: made when there
// are such.
class SpareConv {
 public:
  SpareConv(const KernelProblem& problem, CudaDevice& device, Format weights);
  SpareConv(const SpareConv&) = delete;
  SpareConv& operator=(const SpareConv&) = delete;

  int64_t workspace_bytes() const { return CudaChain::workspace_bytes(problem_); }
  const CudaRun& get() const { return run_.get(); }

 private:
  const Attributes attributes_;
  const KernelProblem problem_;
  const WhenNeeded<CudaRun> run_;
};

}  // namespace cleave::backend
