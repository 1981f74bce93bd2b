#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

// One matrix of b in panels of columns; either of its dimensions may be the columns.
Dim panels_bytes(const TensorType& b, DType dtype) {
  constexpr int64_t kPanel = 32;  // columns of the widest
  const Dim& rows = b.shape[b.rank() - 2];
  const Dim& columns = b.shape[b.rank() - 1];
  const auto padded = [](const Dim& extent) { return ceil_div(extent, kPanel) * kPanel; };
  return max(rows * padded(columns), padded(rows) * columns) * static_cast<int64_t>(size_of(dtype));
}

Dim batches_of(const TensorType& b) { return product(std::span(b.shape).first(b.rank() - 2)); }

class Matmul final : public OpCapabilities {
 public:
  bool fuses_epilogue() const override { return true; }
  // b is packed, which reads it once; operands from the third on are those of the epilogue.
  bool reads_strided(size_t input) const override { return input >= 1; }
  // a is read once for each block of columns: with gaps in many rows, a copy is faster.
  bool reads_rows(size_t) const override { return true; }
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    if (inputs.size() < 2) return int64_t{1} << 20;
    const TensorType& b = inputs[1].type;
    if (b.rank() < 2) return 0;
    if (inputs[1].weight && !packed_bytes(attributes, 1, b).is(0)) return 0;
    // Several small products of a batch are packed at once.
    constexpr int64_t kPackedAtOnce = 16 << 20;
    const Dim one = panels_bytes(b, DType::kFloat32);
    return min(batches_of(b) * one, max(one, kPackedAtOnce));
  }
  Dim packed_bytes(const Attributes&, size_t input, const TensorType& weight) const override {
    const bool packs = input == 1 && weight.rank() >= 2 &&
                       (weight.dtype == DType::kFloat32 || weight.dtype == DType::kFloat16 ||
                        weight.dtype == DType::kBFloat16) &&
                       batches_of(weight).is(1);
    return packs ? panels_bytes(weight, weight.dtype) : Dim(0);
  }
};

}  // namespace

OpCapabilitiesList make_matmul_capabilities_cpu() {
  return {{"matmul", std::make_shared<Matmul>()}};
}

}  // namespace cleave::capabilities
