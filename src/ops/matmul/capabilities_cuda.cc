#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Matmul final : public OpCapabilities {
 public:
  // Both operands may be transposed, or rows that lie anywhere.
  bool reads_rows(size_t) const override { return true; }
  Dim workspace_bytes(const Attributes&, std::span<const Operand>) const override {
    return int64_t{32} << 20;  // what cuBLASLt's algorithms may use
  }
};

}  // namespace

OpCapabilitiesList make_matmul_capabilities_cuda() {
  return {{"matmul", std::make_shared<Matmul>()}};
}

}  // namespace cleave::capabilities
