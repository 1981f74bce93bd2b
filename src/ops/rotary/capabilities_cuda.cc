#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class Rotary final : public OpCapabilities {
 public:
  // Angles lie anywhere; rows that are rotated too, without gaps in them.
  bool reads_strided(size_t input) const override { return input > 0; }
  bool reads_rows(size_t) const override { return true; }
};

}  // namespace

OpCapabilitiesList make_rotary_capabilities_cuda() {
  return {{"rotary", std::make_shared<Rotary>()}};
}

}  // namespace cleave::capabilities
