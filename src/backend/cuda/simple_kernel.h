// SimpleCudaKernel: a kernel on GPUs made of two functions, for ops that need no class of their
// own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backend/cuda/launch.h"
#include "backend/refusals.h"

namespace cleave::backend {

// A problem made ready: what puts it on a stream, and the workspace that it takes.
struct CudaRun {
  std::function<void(std::span<const void* const> inputs, std::span<void* const> outputs,
                     const Launch& launch)>
      run;
  int64_t workspace_bytes = 0;

  // Where there is nothing to compute.
  static CudaRun nothing() {
    return {[](std::span<const void* const>, std::span<void* const>, const Launch&) {}};
  }
};

class SimpleCudaKernel final : public Kernel {
 public:
  using Refuses = std::function<std::optional<std::string>(const KernelProblem&)>;
  using Prepare = std::function<CudaRun(const KernelProblem&, CudaDevice&)>;

  SimpleCudaKernel(std::string op, std::string name, Refuses refuses, Prepare prepare)
      : op_(std::move(op)),
        name_(std::move(name)),
        refuses_(std::move(refuses)),
        prepare_(std::move(prepare)) {}

  std::string_view op() const override { return op_; }
  std::string_view name() const override { return name_; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    return refuses_(problem);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<Prepared>(prepare_(problem, cuda_device(cache)));
  }

 private:
  class Prepared final : public PreparedKernel {
   public:
    explicit Prepared(CudaRun run) : run_(std::move(run)) {}
    int64_t workspace_bytes() const override { return run_.workspace_bytes; }
    void run(std::span<const void* const> inputs, std::span<void* const> outputs,
             const Launch& launch) const override {
      run_.run(inputs, outputs, launch);
    }

   private:
    CudaRun run_;
  };

  std::string op_;
  std::string name_;
  Refuses refuses_;
  Prepare prepare_;
};

// The least power of two that is no less than `value`.
inline int64_t power_of_two(int64_t value) {
  int64_t result = 1;
  while (result < value) result *= 2;
  return result;
}

}  // namespace cleave::backend
