#include "capabilities/op_capabilities.h"

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
  // The operand with its padding and what cuDNN's algorithms may use (cuda_problem.cc keeps to the
  // same bound), weights that are none in the format's order, and results before the chain.
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    constexpr int64_t kLeast = int64_t{16} << 20;
    constexpr int64_t kMost = int64_t{256} << 20;
    constexpr int64_t kGaps = 4 * 256;
    if (inputs.size() < 2) return 2 * kMost;
    const TensorType& x = inputs[0].type;
    const TensorType& w = inputs[1].type;
    const Dim y = x.shape[0] * w.shape[0] * product(attributes.dims("outputs")) *
                  static_cast<int64_t>(size_of(x.dtype));
    const Dim algorithm = min(Dim(kMost), Dim(kLeast) + (x.bytes() + w.bytes() + y) * 3);
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
