#include "ops/matmul/cuda_epilogue.h"

#include "types/added_terms.h"

namespace cleave::backend {
namespace {

// Whether an operand is one row, which all rows share.
bool is_row(const MatmulLayout& layout, size_t operand) {
  for (const IndexSpace* space : {&layout.batch_space, &layout.rows}) {
    for (const int64_t stride : space->strides[operand]) {
      if (stride != 0) return false;
    }
  }
  return layout.n == 1 || layout.column_strides[operand] == 1;
}

std::optional<cublasLtEpilogue_t> function_of(const std::string& op, DType type, bool bias) {
  const bool half = type == DType::kFloat16 || type == DType::kBFloat16;
  if (op.empty()) return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  if (op == "relu") return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  // It is exact to the digits of half precision alone.
  if (op == "gelu_tanh" && half) {
    return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  }
  return std::nullopt;
}

// The epilogue, or nothing with the reason.
std::optional<CublasEpilogue> parse(const KernelProblem& problem, std::string& reason) {
  CublasEpilogue epilogue;
  if (!FusedProgram::is_in(problem.attributes, kEpiloguePrefix)) {
    if (problem.inputs.size() == 2) return epilogue;
    reason = "it has operands beside a and b";
    return std::nullopt;
  }
  const FusedProgram chain = FusedProgram::from_attributes(problem.attributes, kEpiloguePrefix);
  const auto added = AddedTerms::of(chain, problem.attributes.integer("rank", 0));
  const DType type = problem.inputs[0].dtype;
  reason = "cuBLASLt has no such chain";
  if (!added || static_cast<size_t>(chain.inputs) + 1 != problem.inputs.size() ||
      chain.steps[0].type != type || type == DType::kFloat64) {
    return std::nullopt;
  }
  const MatmulLayout layout(problem);
  for (const int32_t term : added->terms) {
    const auto input = static_cast<size_t>(term) + 1;
    if (problem.inputs[input].dtype != type) return std::nullopt;
    if (!epilogue.bias && is_row(layout, input)) {
      epilogue.bias = input;
    } else if (!epilogue.matrix) {
      epilogue.matrix = input;
    } else {
      return std::nullopt;
    }
  }
  const auto function = function_of(added->function, type, epilogue.bias.has_value());
  if (!function) return std::nullopt;
  epilogue.function = *function;
  return epilogue;
}

}  // namespace

std::optional<std::string> CublasEpilogue::refuses(const KernelProblem& problem) {
  std::string reason;
  if (parse(problem, reason)) return std::nullopt;
  return reason;
}

CublasEpilogue CublasEpilogue::of(const KernelProblem& problem) {
  std::string reason;
  return parse(problem, reason).value();
}

}  // namespace cleave::backend
