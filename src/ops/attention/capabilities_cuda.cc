#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Attention final : public OpCapabilities {
 public:
  bool reads_strided(size_t input) const override { return input < 4; }
  // Rows of the result are written where they lie.
  bool writes(DType, Format format) const override { return format != Format::kChannelsLast; }
  // For what is made of parts of the keys (cuda_tiles.cc) or what cuDNN keeps (cuda_frontend.cc),
  // and for a mask laid out anew (cuda_bias.h): the kernels keep to the same bounds.
  Dim workspace_bytes(const Attributes&, std::span<const Operand> inputs) const override {
    constexpr int64_t kParts = int64_t{4} << 20;
    constexpr int64_t kMostBias = int64_t{256} << 20;
    if (inputs.size() < 4 || inputs[3].type.rank() != 4) return kParts;
    if (size_of(inputs[0].type.dtype) != 2) return kParts;
    const Shape& mask = inputs[3].type.shape;
    // Rows begin at multiples of 16 bytes; each has a number beside it.
    const Dim row_bytes = inputs[1].type.shape[2] * 2 + 16 + 4;
    return Dim(kParts) + min(Dim(kMostBias), mask[0] * mask[1] * mask[2] * row_bytes + 256);
  }
};

}  // namespace

OpCapabilitiesList make_attention_capabilities_cuda() {
  return {{"attention", std::make_shared<Attention>()}};
}

}  // namespace cleave::capabilities
