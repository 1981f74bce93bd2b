#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

// Chains; cuda_tiles.h has those of which operands lie in several orders.
class Chain final : public AnyView {
 public:
  bool reads_across() const override { return true; }
};

}  // namespace

OpCapabilitiesList make_elementwise_capabilities_cuda() {
  return {{"fused_elementwise", std::make_shared<Chain>()}};
}

}  // namespace cleave::capabilities
