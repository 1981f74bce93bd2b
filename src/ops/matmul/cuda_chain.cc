#include "ops/matmul/cuda_chain.h"

#include <string>
#include <utility>

#include "backend/cuda/launch.h"
#include "ops/elementwise/cuda_chain.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

// The product of a problem as a problem of its own; its attributes lie here.
struct Product {
  Attributes attributes;
  KernelProblem problem;

  explicit Product(const KernelProblem& whole)
      : attributes(whole.attributes),
        problem{.op = "matmul",
                .attributes = attributes,
                .inputs = {whole.inputs[0], whole.inputs[1]},
                .outputs = whole.outputs,
                .constant_inputs = whole.constant_inputs,
                .constant_keys = whole.constant_keys,
                .load_constant = whole.load_constant,
                .threads = whole.threads} {
    FusedProgram::erase_from(attributes, kEpiloguePrefix);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
};

class PreparedChain final : public PreparedKernel {
 public:
  PreparedChain(std::unique_ptr<PreparedKernel> product, CudaChain chain)
      : product_(std::move(product)), chain_(std::move(chain)) {}

  int64_t workspace_bytes() const override { return product_->workspace_bytes(); }
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    product_->run(inputs.first(2), outputs, launch);
    chain_.run(outputs[0], inputs, outputs, launch);
  }

 private:
  std::unique_ptr<PreparedKernel> product_;
  CudaChain chain_;
};

class MatmulChain final : public Kernel {
 public:
  explicit MatmulChain(std::vector<std::shared_ptr<const Kernel>> products)
      : products_(std::move(products)) {}

  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.chain"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (!CudaChain::is_there(problem)) return "it has no chain";
    if (problem.inputs.size() < 2 || problem.outputs.size() != 1 ||
        problem.outputs[0].dtype != problem.inputs[0].dtype) {
      return "the chain's result is not of the product's type";
    }
    const Product product(problem);
    std::string reasons;
    if (taker(product.problem, reasons) == nullptr) return reasons;
    return CudaChain::refuses(problem);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    const Product product(problem);
    std::string reasons;
    CudaChain chain(problem, cuda_device(cache));
    return std::make_unique<PreparedChain>(
        taker(product.problem, reasons)->prepare(product.problem, cache), std::move(chain));
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
