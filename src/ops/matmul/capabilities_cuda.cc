#include <algorithm>

#include "capabilities/op_capabilities.h"
#include "types/added_terms.h"
#include "types/workspace.h"

namespace cleave::capabilities {
namespace {

// An operand that is one row, the same for all rows.
bool is_row(const ChainOperand& operand) {
  const Shape& source = operand.source;
  const bool repeats =
      std::all_of(source.begin(), source.end() - 1, [](const Dim& d) { return d.is(1); });
  return repeats && source.back() == operand.type.shape.back();
}

class Matmul final : public OpCapabilities {
 public:
  bool fuses_epilogue() const override { return true; }
  // What cuBLASLt has: a bias, a matrix added, and then a function of which its kernels have the
  // same as ours. Its GELU is the one with tanh, and not exact enough for float32.
  bool fuses_chain(const FusedProgram& chain, const TensorType& result,
                   std::span<const ChainOperand> operands) const override {
    const bool half = result.dtype == DType::kFloat16 || result.dtype == DType::kBFloat16;
    if (!half && result.dtype != DType::kFloat32) return false;
    const auto added = AddedTerms::of(chain, 0);
    if (!added || chain.steps[0].type != result.dtype) return false;
    const std::string& function = added->function;
    if (!function.empty() && function != "relu" && !(half && function == "gelu_tanh")) return false;
    int rows = 0;
    int matrices = 0;
    for (const int32_t term : added->terms) {
      const ChainOperand& operand = operands[static_cast<size_t>(term) - 1];
      if (operand.type.dtype != result.dtype) return false;
      if (is_row(operand)) {
        ++rows;
      } else if (operand.source == operand.type.shape) {
        ++matrices;
      } else {
        return false;
      }
    }
    return rows <= 1 && matrices <= 1;
  }
  // Rows of all operands may lie anywhere; a and b may lie transposed too.
  bool reads_rows(size_t) const override { return true; }
  bool reads_columns(size_t input) const override { return input < 2; }
  Dim workspace_bytes(const Attributes&, std::span<const Operand>) const override {
    return kCublasWorkspaceBytes;
  }
};

}  // namespace

OpCapabilitiesList make_matmul_capabilities_cuda() {
  return {{"matmul", std::make_shared<Matmul>()}};
}

}  // namespace cleave::capabilities
