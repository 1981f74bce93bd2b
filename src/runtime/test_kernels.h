// Plain kernels for tests of the runtime alone: what is tested is not how fast or well kernels
// compute.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "backend/kernel.h"

namespace cleave::runtime::testing {

using backend::KernelCache;
using backend::KernelProblem;
using backend::KernelRegistry;
using backend::PreparedKernel;
using backend::TensorView;

using Inputs = std::span<const void* const>;
using Outputs = std::span<void* const>;

// A kernel from a function; operands are float32.
class FunctionKernel final : public backend::Kernel {
 public:
  using Body = std::function<void(const std::vector<TensorView>& inputs,
                                  const std::vector<TensorView>& outputs, Inputs, Outputs)>;
  FunctionKernel(std::string op, Body body) : op_(std::move(op)), body_(std::move(body)) {}

  std::string_view op() const override { return op_; }
  std::string_view name() const override { return "function"; }
  std::optional<std::string> refuses(const KernelProblem&) const override { return std::nullopt; }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache&) const override {
    class Prepared final : public PreparedKernel {
     public:
      Prepared(const KernelProblem& problem, Body body)
          : inputs_(problem.inputs), outputs_(problem.outputs), body_(std::move(body)) {}
      void run(Inputs inputs, Outputs outputs, const backend::Launch&) const override {
        body_(inputs_, outputs_, inputs, outputs);
      }

     private:
      std::vector<TensorView> inputs_;
      std::vector<TensorView> outputs_;
      Body body_;
    };
    return std::make_unique<Prepared>(problem, body_);
  }

 private:
  std::string op_;
  Body body_;
};

inline void add_function(KernelRegistry& registry, std::string op, FunctionKernel::Body body) {
  registry.add(std::make_shared<FunctionKernel>(std::move(op), std::move(body)));
}

// a [m, k] · b [k, n]
inline void multiply(const std::vector<TensorView>& in, const std::vector<TensorView>& out,
                     Inputs inputs, Outputs outputs) {
  const auto at = [](const TensorView& view, const void* data, int64_t i, int64_t j) {
    return static_cast<const float*>(data)[i * view.strides[0] + j * view.strides[1]];
  };
  auto* y = static_cast<float*>(outputs[0]);
  for (int64_t i = 0; i < out[0].shape[0]; ++i) {
    for (int64_t j = 0; j < out[0].shape[1]; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < in[0].shape[1]; ++k) {
        sum += at(in[0], inputs[0], i, k) * at(in[1], inputs[1], k, j);
      }
      y[i * out[0].strides[0] + j] = sum;
    }
  }
}

// y = x + 1, dense
inline void add_one(const std::vector<TensorView>&, const std::vector<TensorView>& out,
                    Inputs inputs, Outputs outputs) {
  const auto* x = static_cast<const float*>(inputs[0]);
  auto* y = static_cast<float*>(outputs[0]);
  for (int64_t i = 0; i < out[0].elements(); ++i) y[i] = x[i] + 1;
}

inline KernelRegistry plain_kernels() {
  KernelRegistry registry;
  add_function(registry, "matmul", multiply);
  add_function(registry, "add_one", add_one);
  return registry;
}

}  // namespace cleave::runtime::testing
