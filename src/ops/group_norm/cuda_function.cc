#include "ops/group_norm/cuda_function.h"

#include "backend/cuda/normalise_rows.h"
#include "backend/cuda/source_text.h"
#include "backend/refusals.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

bool has_function(const KernelProblem& problem) {
  return FusedProgram::is_in(problem.attributes, kEpiloguePrefix);
}

}  // namespace

std::optional<std::string> refuse_group_norm(const KernelProblem& problem) {
  if (auto reason = refuse_group_normalisation(problem)) return reason;
  const DType type = problem.inputs[0].dtype;
  if (problem.outputs.size() != 1) return "it has one result";
  if (!has_function(problem)) return std::nullopt;
  const FusedProgram chain = FusedProgram::from_attributes(problem.attributes, kEpiloguePrefix);
  const auto last = static_cast<int32_t>(chain.steps.size());
  if (chain.inputs != 1 || chain.outputs != std::vector<int32_t>{last}) {
    return "the chain behind it has other operands or results";
  }
  for (const FusedStep& step : chain.steps) {
    if (step.type != type) return "the chain behind it is of another type";
  }
  return refuse_chain(chain, {&type, 1});
}

std::string finish_source(const KernelProblem& problem) {
  if (!has_function(problem)) return kFinishesAsItIs;
  const FusedProgram chain = FusedProgram::from_attributes(problem.attributes, kEpiloguePrefix);
  return chain_source(chain, {&problem.inputs[0].dtype, 1}, 0) +
         "__device__ inline Working<T> finish(Working<T> x) {\n"
         "  Working<T> y;\n  chain(x, y);\n  return y;\n}\n";
}

}  // namespace cleave::backend
