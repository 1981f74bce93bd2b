// SimpleKernel: a kernel made of two functions, for ops that need no class of their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "backend/kernel.h"
#include "backend/refusals.h"

namespace cleave::backend {

using RunFunction = std::function<void(std::span<const void* const> inputs,
                                       std::span<void* const> outputs, ThreadPool& pool)>;

class SimpleKernel final : public Kernel {
 public:
  using Refuses = std::function<std::optional<std::string>(const KernelProblem&)>;
  using Prepare = std::function<RunFunction(const KernelProblem&)>;

  SimpleKernel(std::string op, std::string name, Refuses refuses, Prepare prepare)
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
                                          KernelCache&) const override {
    return std::make_unique<Prepared>(prepare_(problem));
  }

 private:
  class Prepared final : public PreparedKernel {
   public:
    explicit Prepared(RunFunction run) : run_(std::move(run)) {}
    void run(std::span<const void* const> inputs, std::span<void* const> outputs,
             const Launch& launch) const override {
      run_(inputs, outputs, launch.pool);
    }

   private:
    RunFunction run_;
  };

  std::string op_;
  std::string name_;
  Refuses refuses_;
  Prepare prepare_;
};

}  // namespace cleave::backend
