#include "passes/matmul_operands.h"

#include <unordered_map>

namespace cleave::passes {
namespace {

using ir::ValueId;

bool swaps_last_two(const std::vector<Dim>& perm) {
  const size_t rank = perm.size();
  if (rank < 2) return false;
  for (size_t i = 0; i < rank; ++i) {
    const size_t expected = i + 2 < rank ? i : i + 1 < rank ? rank - 1 : rank - 2;
    if (!perm[i].is(static_cast<int64_t>(expected))) return false;
  }
  return true;
}

bool fold_operand(Rewriter& r, ir::NodeId id, size_t operand, std::string_view attribute) {
  ir::Node& node = r.graph().node(id);
  const ir::Node* transpose = r.made_by(node.inputs[operand], "transpose");
  if (transpose == nullptr || !swaps_last_two(transpose->attributes.dims("perm"))) return false;
  node.attributes.set(attribute, Dim(node.attributes.integer(attribute, 0) != 0 ? 0 : 1));
  r.set_input(id, operand, transpose->inputs[0]);
  return true;
}

bool store_transposed(Rewriter& r, ir::NodeId id) {
  ir::Graph& graph = r.graph();
  const ValueId b = graph.node(id).inputs[1];
  const ir::Value& value = graph.value(b);
  if (!value.is_constant() || !value.pieces.empty() || value.type.rank() != 2 ||
      graph.node(id).attributes.integer("transpose_b", 0) == 0 || r.use_count(b) != 1) {
    return false;
  }
  const auto small = small_constant(value);
  ir::RecipePtr transposed = ir::transpose(value.constant, {1, 0});
  if (small) transposed = ir::constant_value(transposed->read_all());
  const std::string name = value.name;
  const ValueId constant = graph.add_constant(name + "/transposed", transposed);
  graph.node(id).attributes.erase("transpose_b");
  r.set_input(id, 1, constant);
  return true;
}

}  // namespace

bool fold_transposes(Rewriter& r, ir::NodeId id) {
  if (r.graph().node(id).op != "matmul") return false;
  bool changed = fold_operand(r, id, 0, "transpose_a");
  changed = fold_operand(r, id, 1, "transpose_b") || changed;
  return store_transposed(r, id) || changed;
}

bool share_transposed_constants(ir::Graph& graph) {
  const auto uses = graph.uses();
  // Constants that are read as they are, by what their transposes would be known as.
  std::unordered_map<uint64_t, ValueId> transposes;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const ir::Value& value = graph.value(ValueId(i));
    if (!value.is_constant() || !value.pieces.empty() || value.type.rank() != 2) continue;
    if (uses[i].empty() || value.constant->bytes() <= ir::kSmallConstantBytes) continue;
    transposes.emplace(ir::transpose(value.constant, {1, 0})->identity(), ValueId(i));
  }
  bool changed = false;
  for (const ir::NodeId id : graph.order()) {
    ir::Node& node = graph.node(id);
    if (node.op != "matmul" || node.attributes.integer("transpose_b", 0) != 0) continue;
    const ir::Value& b = graph.value(node.inputs[1]);
    if (!b.is_constant() || !b.pieces.empty() || b.type.rank() != 2) continue;
    const auto found = transposes.find(b.constant->identity());
    if (found == transposes.end() || found->second == node.inputs[1]) continue;
    const TensorType& whole = graph.type(found->second);
    if (whole.dtype != b.type.dtype || whole.shape[0] != b.type.shape[1]) continue;
    node.inputs[1] = found->second;
    node.attributes.set("transpose_b", Dim(1));
    changed = true;
  }
  if (changed) graph.compact();
  return changed;
}

}  // namespace cleave::passes
