#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Reduce final : public AnyStrides {
 public:
  bool costs_by_operand() const override { return true; }
};

}  // namespace

OpCapabilitiesList make_reduce_capabilities_cpu() {
  const auto any = std::make_shared<Reduce>();
  return {{"reduce_sum", any}, {"reduce_max", any}, {"reduce_min", any}, {"reduce_prod", any}};
}

}  // namespace cleave::capabilities
