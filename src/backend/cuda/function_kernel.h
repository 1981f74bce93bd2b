// FunctionKernel: a kernel for GPUs made of two functions, for ops that need no class of their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backend/cuda/cuda_device.h"
#include "backend/cuda/launch.h"
#include "backend/kernel.h"

namespace cleave::backend {

class FunctionKernel final : public Kernel {
 public:
  using Operands = std::span<const void* const>;
  using Results = std::span<void* const>;
  // Puts the work on the launch's stream.
  using Run = std::function<void(Operands inputs, Results outputs, const Launch& launch)>;
  // What `prepare` makes: the function may be left out where there is nothing to do.
  struct Work {
    Run run;
    int64_t workspace_bytes = 0;
  };
  using Refuses = std::function<std::optional<std::string>(const KernelProblem&)>;
  using Prepare = std::function<Work(const KernelProblem&, CudaDevice&)>;

  FunctionKernel(std::string op, std::string name, Refuses refuses, Prepare prepare)
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
    explicit Prepared(Work work) : work_(std::move(work)) {}
    int64_t workspace_bytes() const override { return work_.workspace_bytes; }
    void run(Operands inputs, Results outputs, const Launch& launch) const override {
      if (work_.run) work_.run(inputs, outputs, launch);
    }

   private:
    Work work_;
  };

  std::string op_;
  std::string name_;
  Refuses refuses_;
  Prepare prepare_;
};

}  // namespace cleave::backend
