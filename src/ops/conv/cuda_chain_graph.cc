#include "ops/conv/cuda_chain_graph.h"

#include <array>
#include <string_view>
#include <utility>

#include "backend/index_space.h"
#include "ops/elementwise/cuda_chain.h"
#include "types/window.h"

namespace cleave::backend {
namespace {

// Maxima and minima are left out: cuDNN's do not keep NaN.
constexpr std::array<std::pair<std::string_view, ChainOp>, 14> kOps = {{
    {"add", ChainOp::kAdd},
    {"sub", ChainOp::kSub},
    {"mul", ChainOp::kMul},
    {"div", ChainOp::kDiv},
    {"neg", ChainOp::kNeg},
    {"abs", ChainOp::kAbs},
    {"exp", ChainOp::kExp},
    {"relu", ChainOp::kRelu},
    {"leaky_relu", ChainOp::kLeakyRelu},
    {"elu", ChainOp::kElu},
    {"sigmoid", ChainOp::kSigmoid},
    {"tanh", ChainOp::kTanh},
    {"silu", ChainOp::kSilu},
    {"gelu", ChainOp::kGelu},
}};

bool is_taken(DType type) {
  return type == DType::kFloat32 || type == DType::kFloat16 || type == DType::kBFloat16;
}

// The operand with an extent of 1 where it is repeated; nothing where it then has gaps.
std::optional<TensorView> unrepeated(const TensorView& operand, const KernelProblem& problem,
                                     const TensorView& y, Format format) {
  const auto& shape = problem.outputs[0].shape;
  std::vector<int64_t> strides = broadcast_strides(operand, shape);
  TensorView view{operand.dtype, y.shape, std::vector<int64_t>(y.rank(), 0)};
  // An image of one dimension has another of extent 1 before it.
  const size_t more = y.rank() - shape.size();
  for (size_t d = 0; d < shape.size(); ++d) {
    const size_t to = d < kImage ? d : d + more;
    view.strides[to] = strides[d];
  }
  for (size_t d = 0; d < y.rank(); ++d) {
    if (view.strides[d] == 0) view.shape[d] = 1;
  }
  if (!view.has_format(format)) return std::nullopt;
  view.strides = dense_strides(format, view.shape);
  return view;
}

// Whether a step's type means what cuDNN makes of it, which computes in float32 and rounds at the
// end: nothing is rounded in between but to the type that all have.
bool keeps_types(const FusedProgram& program, DType result) {
  for (size_t s = 0; s < program.steps.size(); ++s) {
    const FusedStep& step = program.steps[s];
    if (!is_taken(step.type)) return false;
    const bool is_last = s + 1 == program.steps.size();
    if (step.op == "cast" && step.type != DType::kFloat32 && !(is_last && step.type == result)) {
      return false;
    }
  }
  return true;
}

}  // namespace

ChainOp chain_op(const FusedStep& step) {
  if (step.op == "cast") return ChainOp::kNothing;
  if (step.op == "gelu_tanh") return ChainOp::kGeluTanh;
  for (const auto& [name, op] : kOps) {
    if (step.op == name) return op;
  }
  return ChainOp::kNone;
}

std::optional<ChainGraph> ChainGraph::of(const KernelProblem& problem, const TensorView& y,
                                         Format format) {
  ChainGraph chain;
  chain.result = problem.outputs[0].dtype;
  if (!CudaChain::is_there(problem)) return chain;
  chain.program = FusedProgram::from_attributes(problem.attributes, kEpiloguePrefix);
  const int32_t result = chain.program.inputs + static_cast<int32_t>(chain.program.steps.size());
  if (problem.outputs.size() != 1 || chain.program.outputs.size() != 1 ||
      chain.program.outputs[0] != result - 1 || !keeps_types(chain.program, chain.result)) {
    return std::nullopt;
  }
  for (const FusedStep& step : chain.program.steps) {
    if (chain_op(step) == ChainOp::kNone) return std::nullopt;
  }
  for (size_t i = 2; i < problem.inputs.size(); ++i) {
    if (!is_taken(problem.inputs[i].dtype)) return std::nullopt;
    const auto view = unrepeated(problem.inputs[i], problem, y, format);
    if (!view) return std::nullopt;
    chain.operands.push_back({i, *view});
  }
  return chain;
}

}  // namespace cleave::backend
