#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Conv final : public OpCapabilities {
 public:
  bool fuses_epilogue() const override { return true; }
  // Operands from the third on are those of the epilogue.
  bool reads_strided(size_t input) const override { return input >= 2; }
  bool writes(DType dtype, Format format) const override {
    return format == Format::kRowMajor ||
           (format == Format::kChannelsLast && dtype == DType::kFloat32);
  }
  bool reads_as_result(size_t input) const override { return input == 0; }
  // Patches in panels or lines with their padding, sums of all output channels for some of them,
  // and weights that are none.
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    constexpr int64_t kPatches = int64_t{8} << 20;
    constexpr int64_t kSums = 8 * 384 * 4;  // of a channel
    if (inputs.size() < 2) return kPatches;
    const TensorType& weight = inputs[1].type;
    return Dim(kPatches) + weight.shape[0] * kSums +
           (inputs[1].weight ? Dim(0) : packed_bytes(attributes, 1, weight));
  }
  // As float32, in tiles of rows or panels of columns; each group is filled up to whole ones.
  Dim packed_bytes(const Attributes& attributes, size_t input,
                   const TensorType& weight) const override {
    constexpr int64_t kPanel = 32;  // of the widest
    if (input != 1) return 0;
    const Dim terms = product(std::span(weight.shape).subspan(1));
    const Dim rows = weight.shape[0] + attributes.dim("groups") * (kPanel - 1);
    return rows * terms * static_cast<int64_t>(sizeof(float));
  }
};

}  // namespace

OpCapabilitiesList make_conv_capabilities_cpu() { return {{"conv", std::make_shared<Conv>()}}; }

}  // namespace cleave::capabilities
