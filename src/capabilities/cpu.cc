#include "capabilities/capabilities.h"

namespace cleave::capabilities {
namespace {

class Cpu final : public Capabilities {
 public:
  std::string_view backend() const override { return "cpu"; }
  bool fuses_epilogue(std::string_view op) const override { return op == "matmul" || op == "conv"; }
  bool reads_strided(std::string_view op, size_t input) const override {
    if (op == "fused_elementwise" || op == "copy") return true;
    // b is packed, which reads it once; operands from the third on are those of the epilogue.
    if (op == "matmul") return input >= 1;
    if (op == "conv") return input >= 2;
    if (op == "attention") return input < 3;
    if (op.starts_with("reduce_")) return true;
    return false;
  }
  // a is packed once for each block of columns: with gaps in many rows, a copy is faster.
  bool reads_rows(std::string_view op, size_t input) const override {
    return reads_strided(op, input) || (op == "matmul" && input == 0);
  }
  bool writes_strided(std::string_view) const override { return false; }
  bool writes(std::string_view op, DType dtype, Format format) const override {
    if (format == Format::kRowMajor || op == "fused_elementwise") return true;
    if (op == "conv") return dtype == DType::kFloat32;
    return is_redistribution(op) || is_pooling(op) || op == "resize" || op == "concat";
  }
  bool reads_as_result(std::string_view op, size_t input) const override {
    if (op == "conv") return input == 0;
    return is_redistribution(op) || is_pooling(op) || op == "resize" || op == "concat";
  }
  Dim workspace_bytes(std::string_view op, const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    if (op == "attention") return int64_t{4} << 20;
    if (op == "conv" && inputs.size() >= 2) return conv_workspace(attributes, inputs[1]);
    if (op != "matmul" || inputs.size() < 2) return int64_t{1} << 20;
    const TensorType& b = inputs[1].type;
    if (b.rank() < 2) return 0;
    if (inputs[1].weight && !packed_bytes(op, attributes, 1, b).is(0)) return 0;
    // Several small products of a batch are packed at once.
    constexpr int64_t kPackedAtOnce = 16 << 20;
    const Dim one = panels_bytes(b, DType::kFloat32);
    return min(batches_of(b) * one, max(one, kPackedAtOnce));
  }
  Dim packed_bytes(std::string_view op, const Attributes& attributes, size_t input,
                   const TensorType& weight) const override {
    if (op == "conv" && input == 1) return rows_bytes(attributes, weight);
    const bool packs = op == "matmul" && input == 1 && weight.rank() >= 2 &&
                       (weight.dtype == DType::kFloat32 || weight.dtype == DType::kFloat16 ||
                        weight.dtype == DType::kBFloat16) &&
                       batches_of(weight).is(1);
    return packs ? panels_bytes(weight, weight.dtype) : Dim(0);
  }

 private:
  // They see memory, whatever dimensions lie in it.
  static bool is_redistribution(std::string_view op) {
    return op == "all_reduce" || op == "all_gather" || op == "reduce_scatter" ||
           op == "all_to_all" || op == "shard";
  }
  static bool is_pooling(std::string_view op) {
    return op == "max_pool" || op == "average_pool" || op == "lp_pool";
  }
  static Dim batches_of(const TensorType& b) {
    return product(std::span(b.shape).first(b.rank() - 2));
  }
  // Patches in panels, sums of all output channels for some of them, and weights that are none.
  static Dim conv_workspace(const Attributes& attributes, const Operand& weight) {
    constexpr int64_t kPatches = int64_t{8} << 20;
    constexpr int64_t kSums = 8 * 384 * 4;  // of a channel
    return Dim(kPatches) + weight.type.shape[0] * kSums +
           (weight.weight ? Dim(0) : rows_bytes(attributes, weight.type));
  }
  // Weights of a convolution in tiles of rows, as float32; each group is filled up to whole tiles.
  static Dim rows_bytes(const Attributes& attributes, const TensorType& weight) {
    constexpr int64_t kTileRows = 12;  // of the widest
    const Dim terms = product(std::span(weight.shape).subspan(1));
    const Dim rows = weight.shape[0] + attributes.dim("groups") * (kTileRows - 1);
    return rows * terms * static_cast<int64_t>(sizeof(float));
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
