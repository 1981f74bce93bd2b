#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Conv final : public OpCapabilities {
 public:
  // For the operand with its padding, and for what cuDNN's algorithms lay out anew: cuda_cudnn.cc
  // keeps to the same bound.
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    constexpr int64_t kLeast = int64_t{16} << 20;
    constexpr int64_t kMost = int64_t{256} << 20;
    if (inputs.size() < 2) return kMost;
    const TensorType& x = inputs[0].type;
    const TensorType& w = inputs[1].type;
    const Dim y = x.shape[0] * w.shape[0] * product(attributes.dims("outputs"));
    const Dim bytes = x.bytes() + w.bytes() + y * static_cast<int64_t>(size_of(x.dtype));
    return min(Dim(kMost), Dim(kLeast) + bytes * 3);
  }
};

}  // namespace

OpCapabilitiesList make_conv_capabilities_cuda() { return {{"conv", std::make_shared<Conv>()}}; }

}  // namespace cleave::capabilities
