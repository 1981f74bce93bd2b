#include "capabilities/op_capabilities.h"

namespace cleave::capabilities {
namespace {

class TopK final : public OpCapabilities {
 public:
  // What is selected of parts of lines, 12 bytes an element at most: a part has 8 elements for
  // each, and there are no more than 2048 parts where there are several of a line. For more than
  // 2048 elements of a line all are sorted: twice their keys and places, and the sort's own room.
  Dim workspace_bytes(const Attributes& attributes,
                      std::span<const Operand> inputs) const override {
    constexpr int64_t kMostSelected = 2048;
    constexpr int64_t kBlocks = 2048;
    constexpr int64_t kLeast = int64_t{2} << 20;
    if (inputs.empty()) return kLeast;
    const Dim elements = inputs[0].type.elements();
    const Dim k = attributes.dim("k");
    if (k.bounds({}).high > kMostSelected) return elements * 26 + kLeast;
    return min(ceil_div(elements * 12, 8), k * (kBlocks * 12));
  }
};

}  // namespace

OpCapabilitiesList make_top_k_capabilities_cuda() { return {{"top_k", std::make_shared<TopK>()}}; }

}  // namespace cleave::capabilities
