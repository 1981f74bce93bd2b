#include "passes/simplify.h"

#include <algorithm>

#include "passes/matmul_operands.h"
#include "passes/rewriter.h"
#include "passes/split_recovery.h"
#include "passes/transposed_reshape.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

bool all_are(const std::vector<Dim>& dims, int64_t value) {
  return std::all_of(dims.begin(), dims.end(), [&](const Dim& d) { return d.is(value); });
}

bool is_identity(const std::vector<Dim>& perm) {
  for (size_t i = 0; i < perm.size(); ++i) {
    if (!perm[i].is(static_cast<int64_t>(i))) return false;
  }
  return true;
}

bool is_number(const Rewriter& r, ValueId value, double number) {
  const auto found = r.scalar(value);
  return found && *found == number;
}

// The operand that the node's only result is equal to, where there is one.
std::optional<ValueId> unchanged(const Rewriter& r, const ir::Node& node) {
  if (node.outputs.size() != 1 || node.inputs.empty() || !node.inputs[0].valid()) return {};
  const ValueId x = node.inputs[0];
  const auto operand = [&](size_t i) { return node.inputs.at(i); };
  const std::string& op = node.op;
  if (op == "reshape" || op == "broadcast" || op == "cast" || op == "split") return x;
  if (op == "concat") return node.inputs.size() == 1 ? std::optional(x) : std::nullopt;
  if (op == "transpose" && is_identity(node.attributes.dims("perm"))) return x;
  if (op == "slice" && all_are(node.attributes.dims("begin"), 0) &&
      all_are(node.attributes.dims("step"), 1)) {
    return x;
  }
  if (op == "mul" || op == "add") {
    const double neutral = op == "mul" ? 1 : 0;
    if (is_number(r, operand(1), neutral)) return x;
    if (is_number(r, x, neutral)) return operand(1);
  }
  if ((op == "div" || op == "pow") && is_number(r, operand(1), 1)) return x;
  if (op == "sub" && is_number(r, operand(1), 0)) return x;
  return {};
}

bool drop_unchanged(Rewriter& r, const ir::Node& node) {
  const auto same = unchanged(r, node);
  return same && r.type(*same) == r.type(node.outputs[0]) && r.replace(node.outputs[0], *same);
}

std::vector<Dim> after(const std::vector<Dim>& inner, const std::vector<Dim>& outer) {
  std::vector<Dim> perm;
  for (const Dim& d : outer) perm.push_back(inner.at(static_cast<size_t>(d.constant())));
  return perm;
}

// Types that hold every value of another floating type.
bool holds(DType wide, DType narrow) {
  if (!is_floating(wide) || !is_floating(narrow)) return false;
  return size_of(wide) > size_of(narrow) || wide == narrow;
}

// The attributes that make `node` do what it does after the node that makes its operand.
std::optional<Attributes> merged(const Rewriter& r, const ir::Node& node, const ir::Node& inner) {
  if (node.op == "reshape" || node.op == "broadcast") return node.attributes;
  if (node.op == "cast") {
    if (!holds(r.type(inner.outputs[0]).dtype, r.type(inner.inputs[0]).dtype)) return {};
    return node.attributes;
  }
  Attributes attributes = node.attributes;
  if (node.op == "transpose") {
    attributes.set("perm", after(inner.attributes.dims("perm"), node.attributes.dims("perm")));
    return attributes;
  }
  if (node.op == "slice") {
    std::vector<Dim> begin = node.attributes.dims("begin"), step = node.attributes.dims("step");
    for (size_t d = 0; d < begin.size(); ++d) {
      const Dim& stride = inner.attributes.dims("step")[d];
      begin[d] = inner.attributes.dims("begin")[d] + begin[d] * stride;
      step[d] = step[d] * stride;
    }
    attributes.set("begin", begin);
    attributes.set("step", step);
    return attributes;
  }
  return {};
}

bool merge_chain(Rewriter& r, const ir::Node& node) {
  if (node.inputs.size() != 1) return false;
  const ir::Node* inner = r.made_by(node.inputs[0], node.op);
  if (inner == nullptr) return false;
  const auto attributes = merged(r, node, *inner);
  if (!attributes) return false;
  const ValueId source = inner->inputs[0];
  return r.replace(node.outputs[0], r.add_for(node.outputs[0], node.op, *attributes, {source}));
}

bool drop_repeated_guards(ir::Graph& graph) {
  std::vector<SizeGuard> kept;
  for (SizeGuard& guard : graph.guards()) {
    if (guard.a != guard.b) add_guard(kept, std::move(guard));
  }
  const bool changed = kept.size() != graph.guards().size();
  graph.guards() = std::move(kept);
  return changed;
}

}  // namespace

bool simplify(ir::Graph& graph, const ops::Registry& registry) {
  bool changed = drop_repeated_guards(graph);
  // Each round lets the next see through what it dropped; chains halve a round.
  constexpr int kMostRounds = 8;
  for (int round = 0; round < kMostRounds; ++round) {
    bool more = rewrite_nodes(graph, registry, [&](Rewriter& r, ir::NodeId id) {
      const ir::Node node = graph.node(id);  // a copy: adding nodes moves the graph's own
      if (!node.regions.empty()) return false;
      return drop_unchanged(r, node) || merge_chain(r, node) || part_before_transpose(r, id) ||
             fold_transposes(r, id);
    });
    more = share_transposed_constants(graph) || more;
    more = recover_splits(graph, registry) || more;
    if (!more) break;
    changed = true;
  }
  return changed;
}

}  // namespace cleave::passes
