#include "passes/precision.h"

#include "ops/builder.h"

namespace cleave::passes {

void store_weights_as(ir::Graph& graph, const ops::Registry& registry, DType to) {
  const auto uses = graph.uses();
  const size_t count = graph.value_count();
  for (size_t v = 0; v < count; ++v) {
    const ir::ValueId id(v);
    const ir::RecipePtr constant = graph.value(id).constant;
    if (constant == nullptr || constant->dtype() != DType::kFloat32 ||
        constant->bytes() <= ir::kSmallConstantBytes || uses[v].empty()) {
      continue;
    }
    const std::string name = graph.value(id).name;
    const ir::ValueId half =
        graph.add_constant(name + "/" + std::string(name_of(to)), ir::cast(constant, to));
    ops::Builder builder(graph, registry);
    // Readers are in execution order: the cast goes before the first.
    builder.insert_before(uses[v].front().node);
    Attributes attributes;
    attributes.set("to", DType::kFloat32);
    const ir::ValueId back = builder.add1(name + "/cast", "cast", attributes, {half});
    for (const ir::Graph::Use& use : uses[v]) graph.node(use.node).inputs[use.input] = back;
  }
  graph.compact();
}

}  // namespace cleave::passes
