#include "cost/exact_times.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "types/fused.h"
#include "types/window.h"

namespace cleave::cost {
namespace {

bool has_elements(const TensorType& type) {
  return std::all_of(type.shape.begin(), type.shape.end(),
                     [](const Dim& dim) { return dim.is_constant() && dim.constant() > 0; });
}

// Window and groups as the types have them. Padding is taken to be the same at both ends, as near
// as can be: where it lies does not change how long it takes.
std::optional<Attributes> local_conv(const Attributes& attributes, const TensorType& x,
                                     const TensorType& w, const TensorType& y) {
  const Window whole = Window::of(attributes, {w.shape.begin() + kImage, w.shape.end()});
  std::vector<Dim> low;
  for (size_t d = 0; d < whole.kernel.size(); ++d) {
    const Dim& stride = whole.strides[d];
    const Dim reach = whole.reach(d);
    if (!stride.is_constant() || !reach.is_constant()) return std::nullopt;
    const int64_t seen =
        (y.shape[kImage + d].constant() - 1) * stride.constant() + reach.constant();
    low.emplace_back(std::max<int64_t>(0, (seen - x.shape[kImage + d].constant()) / 2));
  }
  if (x.shape[1].constant() % w.shape[1].constant() != 0) return std::nullopt;
  Attributes local = attributes;
  local.set("low", low);
  local.set("outputs", std::vector<Dim>(y.shape.begin() + kImage, y.shape.end()));
  local.set("groups", Dim(x.shape[1].constant() / w.shape[1].constant()));
  return local;
}

}  // namespace

std::optional<KernelSpec> exact_spec(const ops::OpDefinition& definition,
                                     const ops::OpContext& context,
                                     std::span<const TensorType> outputs, bool packed,
                                     Format format) {
  if (definition.name() != "conv" || context.inputs.size() < 2 || outputs.size() != 1) {
    return std::nullopt;
  }
  const TensorType& x = context.inputs[0];
  const TensorType& w = context.inputs[1];
  if (!has_elements(x) || !has_elements(w) || !has_elements(outputs[0])) return std::nullopt;
  auto attributes = local_conv(context.attributes, x, w, outputs[0]);
  if (!attributes) return std::nullopt;
  // Of a chain the anchor alone is timed.
  FusedProgram::erase_from(*attributes, kEpiloguePrefix);
  attributes->erase("rank");
  KernelSpec spec{.op = "conv",
                  .attributes = std::move(*attributes),
                  .inputs = {x, w},
                  .outputs = {outputs[0]},
                  .weight = packed,
                  .format = format};
  return spec;
}

}  // namespace cleave::cost
