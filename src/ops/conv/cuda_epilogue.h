// The chain of element-wise operations behind a convolution on a GPU, as a kernel of its own.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "backend/cuda/launch.h"

namespace cleave::backend {

class CudaConvEpilogue {
 public:
  static std::optional<std::string> refuses(const KernelProblem& problem);
  // Whether anything stands behind the convolution.
  static bool is_there(const KernelProblem& problem);
  CudaConvEpilogue(const KernelProblem& problem, CudaDevice& device);

  // Of the convolution's results, which lie there where they are of another type than those of the
  // chain; else they are made where these will be.
  int64_t workspace_bytes() const { return workspace_bytes_; }
  void* sums(std::span<void* const> outputs, std::byte* workspace) const {
    return workspace_bytes_ > 0 ? workspace : outputs[0];
  }
  void run(const void* sums, std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const;

 private:
  std::unique_ptr<const PreparedKernel> chain_;  // null: there is none
  int64_t workspace_bytes_ = 0;
};

}  // namespace cleave::backend
