#include "capabilities/op_capabilities.h"
#include "types/workspace.h"

namespace cleave::capabilities {
namespace {

class Attention final : public OpCapabilities {
 public:
  bool reads_strided(size_t input) const override { return input < 3; }
  // Rows of the result are written where they lie.
  bool writes(DType, Format format) const override { return format != Format::kChannelsLast; }
  Dim workspace_bytes(const Attributes&, std::span<const Operand>) const override {
    return kAttentionPartsBytes;
  }
};

}  // namespace

OpCapabilitiesList make_attention_capabilities_cpu() {
  return {{"attention", std::make_shared<Attention>()}};
}

}  // namespace cleave::capabilities
