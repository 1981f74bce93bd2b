#include "capabilities/op_capabilities.h"
#include "types/workspace.h"

namespace cleave::capabilities {
namespace {

class Conv final : public OpCapabilities {
 public:
  bool fuses_epilogue() const override { return true; }
  // Operands from the third on are those of the epilogue.
  bool reads_strided(size_t input) const override { return input >= 2; }
  bool writes(DType dtype, Format format) const override {
    if (format == Format::kRowMajor) return true;
    return format == Format::kChannelsLast &&
           (dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16);
  }
  bool reads_as_result(size_t input) const override { return input == 0; }
  // The operand with its padding and what cuDNN's algorithms may use (cuda_problem.cc), weights
  // that are none in the format's order, and results before the chain.
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    constexpr int64_t kGaps = 4 * 256;
    if (inputs.size() < 2) return 2 * kMostConvWorkspaceBytes;
    const TensorType& x = inputs[0].type;
    const TensorType& w = inputs[1].type;
    const Dim y = x.shape[0] * w.shape[0] * product(attributes.dims("outputs")) *
                  static_cast<int64_t>(size_of(x.dtype));
    const Dim wanted =
        Dim(kLeastConvWorkspaceBytes) + (x.bytes() + w.bytes() + y) * kConvWorkspaceShare;
    const Dim algorithm = min(Dim(kMostConvWorkspaceBytes), wanted);
    return algorithm + y + (inputs[1].weight ? Dim(0) : w.bytes()) + kGaps;
  }
  // In the format's order.
  Dim packed_bytes(const Attributes&, size_t input, const TensorType& weight) const override {
    return input == 1 ? weight.bytes() : Dim(0);
  }
};

}  // namespace

OpCapabilitiesList make_conv_capabilities_cuda() { return {{"conv", std::make_shared<Conv>()}}; }

}  // namespace cleave::capabilities
