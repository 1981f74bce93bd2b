#include "ops/matmul/cuda_chain.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backend/cuda/launch.h"
#include "ops/elementwise/cuda_chain.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

constexpr const char* kPrefix = "epilogue_";

bool has_chain(const KernelProblem& problem) {
  return problem.attributes.has(std::string(kPrefix) + "steps");
}

// The parts of a problem as problems of their own; attributes lie here.
struct Parts {
  Attributes product_attributes;
  Attributes chain_attributes;
  KernelProblem product;
  KernelProblem chain;

  explicit Parts(const KernelProblem& problem)
      : product_attributes(problem.attributes),
        product{.op = "matmul",
                .attributes = product_attributes,
                .inputs = {problem.inputs[0], problem.inputs[1]},
                .outputs = problem.outputs,
                .constant_inputs = problem.constant_inputs,
                .constant_keys = problem.constant_keys,
                .load_constant = problem.load_constant,
                .threads = problem.threads},
        chain{.op = "fused_elementwise",
              .attributes = chain_attributes,
              .inputs = {problem.outputs[0]},
              .outputs = problem.outputs,
              .threads = problem.threads} {
    for (const char* name : {"inputs", "steps", "outputs"}) {
      product_attributes.erase(std::string(kPrefix) + name);
    }
    FusedProgram::from_attributes(problem.attributes, kPrefix).to_attributes(chain_attributes);
    if (problem.attributes.has("rank")) {
      chain_attributes.set("rank", Dim(problem.attributes.integer("rank")));
    }
    chain.inputs.insert(chain.inputs.end(), problem.inputs.begin() + 2, problem.inputs.end());
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
};

class PreparedChain final : public PreparedKernel {
 public:
  PreparedChain(std::unique_ptr<PreparedKernel> product, std::unique_ptr<PreparedKernel> chain)
      : product_(std::move(product)), chain_(std::move(chain)) {}

  int64_t workspace_bytes() const override {
    return std::max(product_->workspace_bytes(), chain_->workspace_bytes());
  }
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    product_->run(inputs.first(2), outputs, launch);
    std::vector<const void*> operands = {outputs[0]};
    operands.insert(operands.end(), inputs.begin() + 2, inputs.end());
    chain_->run(operands, outputs, launch);
  }

 private:
  std::unique_ptr<PreparedKernel> product_;
  std::unique_ptr<PreparedKernel> chain_;
};

class MatmulChain final : public Kernel {
 public:
  explicit MatmulChain(std::vector<std::shared_ptr<const Kernel>> products)
      : products_(std::move(products)) {}

  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.chain"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (!has_chain(problem)) return "it has no chain";
    if (problem.inputs.size() < 2 || problem.outputs.size() != 1 ||
        problem.outputs[0].dtype != problem.inputs[0].dtype) {
      return "the chain's result is not of the product's type";
    }
    const Parts parts(problem);
    std::string reasons;
    if (taker(parts.product, reasons) == nullptr) return reasons;
    return refuse_elementwise(parts.chain);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    const Parts parts(problem);
    std::string reasons;
    return std::make_unique<PreparedChain>(
        taker(parts.product, reasons)->prepare(parts.product, cache),
        prepare_elementwise(parts.chain, cuda_device(cache)));
  }

 private:
  // The first that takes the product; null where none does, for the reasons that are added.
  const Kernel* taker(const KernelProblem& problem, std::string& reasons) const {
    for (const auto& kernel : products_) {
      const auto reason = kernel->refuses(problem);
      if (!reason) return kernel.get();
      reasons += (reasons.empty() ? "" : "; ") + std::string(kernel->name()) + ": " + *reason;
    }
    return nullptr;
  }

  std::vector<std::shared_ptr<const Kernel>> products_;
};

}  // namespace

std::shared_ptr<const Kernel> make_matmul_chain(
    std::vector<std::shared_ptr<const Kernel>> products) {
  return std::make_shared<MatmulChain>(std::move(products));
}

}  // namespace cleave::backend
