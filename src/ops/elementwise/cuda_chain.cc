#include "ops/elementwise/cuda_chain.h"

#include <vector>

#include "types/fused.h"

namespace cleave::backend {
namespace {

constexpr size_t kOperands = 2;  // of the op itself

Attributes chain_attributes(const KernelProblem& problem) {
  Attributes attributes;
  FusedProgram::from_attributes(problem.attributes, kEpiloguePrefix).to_attributes(attributes);
  attributes.set("rank", Dim(problem.attributes.integer("rank", 0)));
  return attributes;
}

KernelProblem chain_problem(const KernelProblem& problem, const Attributes& attributes) {
  TensorView result = problem.outputs[0];
  result.dtype = problem.inputs[0].dtype;
  KernelProblem chain{.op = "fused_elementwise", .attributes = attributes};
  chain.inputs = {std::move(result)};
  chain.inputs.insert(chain.inputs.end(), problem.inputs.begin() + kOperands, problem.inputs.end());
  chain.outputs = problem.outputs;
  return chain;
}

}  // namespace

bool CudaChain::is_there(const KernelProblem& problem) {
  return FusedProgram::is_in(problem.attributes, kEpiloguePrefix);
}

std::optional<std::string> CudaChain::refuses(const KernelProblem& problem) {
  if (!is_there(problem)) {
    if (problem.inputs.size() != kOperands || problem.outputs.size() != 1) {
      return "it takes two operands";
    }
    if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "its types differ";
    return std::nullopt;
  }
  const Attributes attributes = chain_attributes(problem);
  return refuse_elementwise(chain_problem(problem, attributes));
}

// An element is read before it is overwritten where one result is of its size.
int64_t CudaChain::workspace_bytes(const KernelProblem& problem) {
  const DType type = problem.inputs[0].dtype;
  const bool in_place = problem.outputs.size() == 1 && problem.outputs[0].dtype == type;
  if (in_place || !is_there(problem)) return 0;
  return problem.outputs[0].elements() * static_cast<int64_t>(size_of(type));
}

CudaChain::CudaChain(const KernelProblem& problem, CudaDevice& device)
    : workspace_bytes_(workspace_bytes(problem)) {
  if (!is_there(problem)) return;
  const Attributes attributes = chain_attributes(problem);
  chain_ = prepare_elementwise(chain_problem(problem, attributes), device);
}

void CudaChain::run(const void* result, std::span<const void* const> inputs,
                    std::span<void* const> outputs, const Launch& launch) const {
  if (chain_ == nullptr) return;
  std::vector<const void*> operands = {result};
  operands.insert(operands.end(), inputs.begin() + kOperands, inputs.end());
  chain_->run(operands, outputs, launch);
}

}  // namespace cleave::backend
