#include <algorithm>
#include <iterator>
#include <string_view>

#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class RowNorm final : public OpCapabilities {
 public:
  // Two numbers of 8 bytes a row that does not fit in registers: 2^31 elements have at most 2^17.
  Dim workspace_bytes(const Attributes&, std::span<const Operand>) const override {
    return int64_t{2} << 20;
  }
};

// Groups of channels are rows, or, in channels-last, parts of lines.
class GroupNorm final : public OpCapabilities {
 public:
  bool writes(DType, Format format) const override { return is_image_format(format); }
  bool reads_as_result(size_t input) const override { return input == 0; }
  bool fuses_epilogue() const override { return true; }
  // One function of the results, as diffusion models have it.
  bool fuses_chain(const FusedProgram& chain, const TensorType& result,
                   std::span<const ChainOperand> operands) const override {
    static constexpr std::string_view kFunctions[] = {"silu",    "relu", "gelu",      "gelu_tanh",
                                                      "sigmoid", "tanh", "hard_swish"};
    return operands.empty() && chain.steps.size() == 1 && chain.steps[0].type == result.dtype &&
           std::find(std::begin(kFunctions), std::end(kFunctions), chain.steps[0].op) !=
               std::end(kFunctions);
  }
  // Two numbers of 8 bytes for each chunk of a group: of all groups at most 256, and 1024 of the at
  // most 128 that a block has.
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    constexpr int64_t kChunkBytes = 16;
    if (inputs.empty()) return int64_t{2} << 20;
    const Shape& x = inputs[0].type.shape;
    const Dim groups = x[0] * floor_div(x[1], attributes.dim("group_channels"));
    return Dim(int64_t{2} << 20) + (groups + min(groups * 256, Dim(1024 * 128))) * kChunkBytes;
  }
};

}  // namespace

OpCapabilitiesList make_layer_norm_capabilities_cuda() {
  const auto rows = std::make_shared<RowNorm>();
  return {{"layer_norm", rows}, {"rms_norm", rows}, {"group_norm", std::make_shared<GroupNorm>()}};
}

}  // namespace cleave::capabilities
