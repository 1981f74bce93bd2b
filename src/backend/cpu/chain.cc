#include "backend/cpu/chain.h"

namespace cleave::backend {
namespace {

bool has_chain(const KernelProblem& problem) {
  return FusedProgram::is_in(problem.attributes, kEpiloguePrefix);
}

FusedProgram program_of(const KernelProblem& problem) {
  if (has_chain(problem)) return FusedProgram::from_attributes(problem.attributes, kEpiloguePrefix);
  return {.inputs = 1, .steps = {}, .outputs = {0}};
}

std::vector<DType> operand_types(const KernelProblem& problem, DType result) {
  std::vector<DType> types = {result};
  for (size_t i = 2; i < problem.inputs.size(); ++i) types.push_back(problem.inputs[i].dtype);
  return types;
}

std::vector<DType> result_types(const KernelProblem& problem) {
  std::vector<DType> types;
  for (const TensorView& view : problem.outputs) types.push_back(view.dtype);
  return types;
}

}  // namespace

std::optional<std::string> Chain::refuses(const KernelProblem& problem, DType result) {
  if (problem.inputs.size() > kMostInputs || problem.outputs.size() > kMostOutputs) {
    return "too many operands";
  }
  return FusedEvaluator::refuses(program_of(problem), operand_types(problem, result),
                                 result_types(problem));
}

Chain::Chain(const KernelProblem& problem, DType result)
    : inputs_(problem.inputs.size()),
      input_types_(operand_types(problem, result)),
      output_types_(result_types(problem)),
      empty_(!has_chain(problem)),
      evaluator_(program_of(problem), input_types_, output_types_,
                 problem.attributes.integer("rank", 0)) {}

bool Chain::is_plain_float() const {
  return empty_ && input_types_[0] == DType::kFloat32 && output_types_.size() == 1 &&
         output_types_[0] == DType::kFloat32;
}

}  // namespace cleave::backend
