#include "capabilities/op_capabilities.h"
#include "types/workspace.h"

namespace cleave::capabilities {
namespace {

class Attention final : public OpCapabilities {
 public:
  bool reads_strided(size_t input) const override { return input < 4; }
  // Rows of the result are written where they lie.
  bool writes(DType, Format format) const override { return format != Format::kChannelsLast; }
  // For what is made of parts of the keys (cuda_tiles.cc) or what cuDNN keeps (cuda_frontend.cc),
  // and for a mask laid out anew (cuda_bias.h).
  Dim workspace_bytes(const Attributes&, std::span<const Operand> inputs) const override {
    const Dim parts = kAttentionPartsBytes;
    if (inputs.size() < 4 || inputs[3].type.rank() != 4) return parts;
    if (size_of(inputs[0].type.dtype) != 2) return parts;
    const Shape& mask = inputs[3].type.shape;
    // Rows begin at multiples of 16 bytes; each has a number beside it.
    const Dim row_bytes = inputs[1].type.shape[2] * 2 + 16 + 4;
    const Dim bias = mask[0] * mask[1] * mask[2] * row_bytes + 256;
    return parts + min(Dim(kMostAttentionBiasBytes), bias);
  }
};

}  // namespace

OpCapabilitiesList make_attention_capabilities_cuda() {
  return {{"attention", std::make_shared<Attention>()}};
}

}  // namespace cleave::capabilities
