#include "capabilities/capabilities.h"

namespace cleave::capabilities {
namespace {

class Cpu final : public Capabilities {
 public:
  std::string_view backend() const override { return "cpu"; }
  bool fuses_epilogue(std::string_view op) const override { return op == "matmul"; }
  bool reads_strided(std::string_view op, size_t input) const override {
    if (op == "fused_elementwise" || op == "copy") return true;
    // b is packed, which reads it once; operands from the third on are those of the epilogue.
    if (op == "matmul") return input >= 1;
    if (op == "attention") return input < 3;
    return false;
  }
  // a is packed once for each block of columns: with gaps in many rows, a copy is faster.
  bool reads_rows(std::string_view op, size_t input) const override {
    return reads_strided(op, input) || (op == "matmul" && input == 0);
  }
  bool writes_strided(std::string_view) const override { return false; }
  Dim workspace_bytes(std::string_view op, std::span<const Operand> inputs) const override {
    if (op == "attention") return int64_t{4} << 20;
    if (op != "matmul" || inputs.size() < 2) return int64_t{1} << 20;
    const TensorType& b = inputs[1].type;
    if (b.rank() < 2) return 0;
    if (inputs[1].weight && !packed_bytes(op, 1, b).is(0)) return 0;
    // Several small products of a batch are packed at once.
    constexpr int64_t kPackedAtOnce = 16 << 20;
    const Dim one = panels_bytes(b, DType::kFloat32);
    return min(batches_of(b) * one, max(one, kPackedAtOnce));
  }
  Dim packed_bytes(std::string_view op, size_t input, const TensorType& weight) const override {
    const bool packs = op == "matmul" && input == 1 && weight.rank() >= 2 &&
                       (weight.dtype == DType::kFloat32 || weight.dtype == DType::kFloat16 ||
                        weight.dtype == DType::kBFloat16) &&
                       batches_of(weight).is(1);
    return packs ? panels_bytes(weight, weight.dtype) : Dim(0);
  }

 private:
  static Dim batches_of(const TensorType& b) {
    return product(std::span(b.shape).first(b.rank() - 2));
  }
  // One matrix of b in panels of columns; either of its dimensions may be the columns.
  static Dim panels_bytes(const TensorType& b, DType dtype) {
    constexpr int64_t kPanel = 32;  // columns of the widest
    const Dim& rows = b.shape[b.rank() - 2];
    const Dim& columns = b.shape[b.rank() - 1];
    const auto padded = [](const Dim& extent) { return ceil_div(extent, kPanel) * kPanel; };
    return max(rows * padded(columns), padded(rows) * columns) *
           static_cast<int64_t>(size_of(dtype));
  }
};

}  // namespace

std::shared_ptr<const Capabilities> cpu() { return std::make_shared<Cpu>(); }

}  // namespace cleave::capabilities
