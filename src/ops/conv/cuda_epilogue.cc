#include "ops/conv/cuda_epilogue.h"

#include <vector>

#include "ops/elementwise/cuda_chain.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

constexpr const char* kPrefix = "epilogue_";

// The convolution's results lie as those of the chain do.
TensorView sums_view(const KernelProblem& problem) {
  TensorView sums = problem.outputs[0];
  sums.dtype = problem.inputs[0].dtype;
  return sums;
}

Attributes chain_attributes(const KernelProblem& problem) {
  Attributes attributes;
  FusedProgram::from_attributes(problem.attributes, kPrefix).to_attributes(attributes);
  attributes.set("rank", Dim(problem.attributes.integer("rank", 0)));
  return attributes;
}

KernelProblem chain_problem(const KernelProblem& problem, const Attributes& attributes) {
  KernelProblem chain{.op = "fused_elementwise", .attributes = attributes};
  chain.inputs = {sums_view(problem)};
  chain.inputs.insert(chain.inputs.end(), problem.inputs.begin() + 2, problem.inputs.end());
  chain.outputs = problem.outputs;
  return chain;
}

}  // namespace

bool CudaConvEpilogue::is_there(const KernelProblem& problem) {
  return problem.attributes.find("epilogue_outputs") != nullptr;
}

std::optional<std::string> CudaConvEpilogue::refuses(const KernelProblem& problem) {
  if (!is_there(problem)) {
    if (problem.inputs.size() != 2 || problem.outputs.size() != 1) return "it takes x and w";
    if (problem.outputs[0].dtype != problem.inputs[0].dtype) return "its types differ";
    return std::nullopt;
  }
  const Attributes attributes = chain_attributes(problem);
  return refuse_elementwise(chain_problem(problem, attributes));
}

CudaConvEpilogue::CudaConvEpilogue(const KernelProblem& problem, CudaDevice& device) {
  if (!is_there(problem)) return;
  const Attributes attributes = chain_attributes(problem);
  const KernelProblem chain = chain_problem(problem, attributes);
  chain_ = prepare_elementwise(chain, device);
  // An element is read before it is overwritten where one result is of its size.
  const bool in_place =
      problem.outputs.size() == 1 && problem.outputs[0].dtype == problem.inputs[0].dtype;
  if (in_place) return;
  workspace_bytes_ =
      problem.outputs[0].elements() * static_cast<int64_t>(size_of(problem.inputs[0].dtype));
}

void CudaConvEpilogue::run(const void* sums, std::span<const void* const> inputs,
                           std::span<void* const> outputs, const Launch& launch) const {
  if (chain_ == nullptr) return;
  std::vector<const void*> operands = {sums};
  operands.insert(operands.end(), inputs.begin() + 2, inputs.end());
  chain_->run(operands, outputs, launch);
}

}  // namespace cleave::backend
