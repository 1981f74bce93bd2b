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
  int64_t workspace_bytes(std::string_view op) const override {
    return op == "matmul" || op == "attention" ? int64_t{4} << 20 : int64_t{1} << 20;
  }
};

}  // namespace

std::shared_ptr<const Capabilities> cpu() { return std::make_shared<Cpu>(); }

}  // namespace cleave::capabilities
