#include "passes/recover_attention.h"

#include <cmath>
#include <limits>

#include "passes/attention_scores.h"
#include "passes/causal_mask.h"
#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// Where adding a score to a mask's low number gives that number: then adding the mask is the same
// as choosing by it, also in rows of which nothing is visible.
constexpr double kAbsorbing = -1e30;

// Fused kernels are made for heads up to this depth. Deeper ones, of the one head that autoencoders
// of images have, are faster as products and a softmax.
constexpr int64_t kMostDepth = 256;

// All operands as they are in the graph, before anything is built.
struct Found {
  ValueId q, k, v;
  bool is_q_turned = false, is_k_turned = false;  // as [.., depth, rows]
  double scale = 1;
  std::vector<ScoreMask> masks;
  bool is_causal = false;
  bool is_grouped = false;  // k and v are repeated
  bool is_flat = false;     // [heads of all batches, rows, depth]
};

// The operand of a product with a number, where only that product reads it.
ValueId unscaled(const Rewriter& r, ValueId value, double& scale) {
  const ir::Node* node = r.producer(value);
  if (node == nullptr || r.use_count(value) != 1) return value;
  if (node->op == "mul") {
    for (size_t i = 0; i < 2; ++i) {
      const auto factor = r.scalar(node->inputs[i]);
      if (!factor) continue;
      scale *= *factor;
      return node->inputs[1 - i];
    }
  }
  if (node->op == "div") {
    const auto divisor = r.scalar(node->inputs[1]);
    if (divisor && *divisor != 0) {
      scale /= *divisor;
      return node->inputs[0];
    }
  }
  return value;
}

// The tensor [batch, groups, 1, rows, depth] of which `value` [batch, heads, rows, depth] repeats
// each group; invalid where it does not.
ValueId group_source(const Rewriter& r, ValueId value) {
  const ir::Node* reshape = r.made_by(value, "reshape");
  const ir::Node* broadcast = reshape ? r.made_by(reshape->inputs[0], "broadcast") : nullptr;
  if (broadcast == nullptr) return {};
  const Shape& heads = r.shape(value);
  const Shape& wide = r.shape(reshape->inputs[0]);
  const Shape& narrow = r.shape(broadcast->inputs[0]);
  if (wide.size() != 5 || narrow.size() != 5 || !narrow[2].is(1)) return {};
  for (const size_t d : {0, 1, 3, 4}) {
    if (narrow[d] != wide[d]) return {};
  }
  const bool is_joined = wide[0] == heads[0] && wide[1] * wide[2] == heads[1] &&
                         wide[3] == heads[2] && wide[4] == heads[3];
  return is_joined ? broadcast->inputs[0] : ValueId();
}

bool is_causal(const Rewriter& r, const ScoreMask& mask, const Dim& rows, const Dim& columns) {
  const Dim past = columns - rows;
  if (past.bounds(r.graph().bounds()).low < 0) return false;  // a row might see nothing
  switch (mask.kind) {
    case ScoreMask::Kind::kVisible:
      return causal_shift(r, mask.value) == past;
    case ScoreMask::Kind::kHidden:
      return hidden_causal_shift(r, mask.value) == past;
    case ScoreMask::Kind::kAdded:
      return additive_causal_shift(r, mask.value) == past;
  }
  return false;
}

bool is_deep(const Dim& depth) { return depth.is_constant() && depth.constant() > kMostDepth; }

bool can_build(const Rewriter& r, const Found& found) {
  if (found.is_causal) return true;
  for (const ScoreMask& mask : found.masks) {
    const TensorType& type = r.type(mask.value);
    if (mask.kind == ScoreMask::Kind::kAdded) {
      if (type.dtype != r.type(found.q).dtype) return false;
    } else if (!(mask.hidden <= kAbsorbing)) {
      return false;
    }
    if (r.shape(r.unbroadcast(mask.value)).size() > r.shape(found.q).size()) return false;
  }
  return true;
}

// All that must hold for `root`, softmax(…) v, to be an attention.
std::optional<Found> find(const Rewriter& r, const ir::Node& root) {
  Found found;
  const size_t rank = r.shape(root.outputs[0]).size();
  if (root.attributes.integer("transpose_a", 0) != 0 ||
      root.attributes.integer("transpose_b", 0) != 0 || (rank != 3 && rank != 4) ||
      r.shape(root.inputs[0]).size() != rank || r.shape(root.inputs[1]).size() != rank) {
    return {};
  }
  found.is_flat = rank == 3;
  const ir::Node* softmax = r.made_by(r.uncast(root.inputs[0]), "softmax");
  if (softmax == nullptr || softmax->attributes.integer("axis") != static_cast<int64_t>(rank) - 1) {
    return {};
  }
  const auto scores = attention_scores(r, softmax->inputs[0]);
  if (!scores) return {};
  const ir::Node& product = *r.producer(scores->product);
  if (r.shape(product.inputs[0]).size() != rank || r.shape(product.inputs[1]).size() != rank) {
    return {};
  }
  found.scale = scores->scale;
  found.q = unscaled(r, product.inputs[0], found.scale);
  found.k = unscaled(r, product.inputs[1], found.scale);
  found.v = root.inputs[1];
  if (!std::isfinite(found.scale)) return {};
  found.is_q_turned = product.attributes.integer("transpose_a", 0) != 0;
  found.is_k_turned = product.attributes.integer("transpose_b", 0) == 0;
  if (is_deep(r.shape(found.q)[found.is_q_turned ? rank - 2 : rank - 1])) return {};
  if (is_deep(r.shape(found.v)[rank - 1])) return {};
  const DType dtype = r.type(found.q).dtype;
  if (!is_floating(dtype) || r.type(found.k).dtype != dtype || r.type(found.v).dtype != dtype) {
    return {};
  }
  found.masks = scores->masks;
  if (found.masks.size() == 1) {
    const Shape& shape = r.shape(scores->product);
    found.is_causal = is_causal(r, found.masks[0], shape[rank - 2], shape[rank - 1]);
  }
  if (!can_build(r, found)) return {};
  if (found.is_flat) return found;
  const ValueId k = found.is_k_turned ? ValueId() : group_source(r, found.k);
  const ValueId v = group_source(r, found.v);
  if (k.valid() && v.valid() && r.shape(k)[1] == r.shape(v)[1]) {
    found.k = k;
    found.v = v;
    found.is_grouped = true;
  }
  return found;
}

class Construction {
 public:
  Construction(Rewriter& r, ValueId root)
      : r_(r),
        builder_(r.before(root)),
        name_(r.graph().node(r.graph().value(root).producer).name) {}

  ValueId turned(ValueId value) {
    std::vector<Dim> perm = {0, 1, 3, 2};
    if (r_.shape(value).size() == 3) perm = {0, 2, 1};
    return add("transpose", {value}, {{"perm", perm}});
  }

  ValueId of_rank_four(ValueId value) {
    Shape shape = r_.shape(value);
    if (shape.size() == 4) return value;
    shape.insert(shape.begin(), 4 - shape.size(), Dim(1));
    return add("reshape", {value}, {{"shape", shape}});
  }

  ValueId attention(const std::vector<ValueId>& inputs, const Attributes& attributes) {
    return add("attention", inputs, attributes);
  }

  ValueId ungrouped(ValueId value) {  // [batch, groups, 1, rows, depth]
    Shape shape = r_.shape(value);
    shape.erase(shape.begin() + 2);
    return add("reshape", {value}, {{"shape", shape}});
  }

  // The masks as one that attention takes: what the scores go through, from the product on.
  ValueId mask(const std::vector<ScoreMask>& masks, DType dtype) {
    if (masks.size() == 1 && masks[0].kind != ScoreMask::Kind::kAdded &&
        masks[0].hidden == -std::numeric_limits<double>::infinity()) {
      const ValueId condition = of_rank_four(r_.unbroadcast(masks[0].value));
      return masks[0].kind == ScoreMask::Kind::kVisible ? condition : add("not", {condition});
    }
    ValueId sum;
    for (size_t i = masks.size(); i-- > 0;) {
      const ValueId value = of_rank_four(r_.unbroadcast(masks[i].value));
      if (masks[i].kind == ScoreMask::Kind::kAdded) {
        sum = sum.valid() ? joined("add", {sum, value}) : value;
        continue;
      }
      const ValueId hidden = builder_.scalar(dtype, masks[i].hidden);
      const ValueId shown = sum.valid() ? sum : builder_.scalar(dtype, 0);
      sum = masks[i].kind == ScoreMask::Kind::kVisible ? joined("where", {value, shown, hidden})
                                                       : joined("where", {value, hidden, shown});
    }
    return sum;
  }

 private:
  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return builder_.add1(name_ + "/" + std::string(op), op, std::move(attributes),
                         std::move(inputs));
  }

  // An element-wise op of operands that broadcast against each other.
  ValueId joined(std::string_view op, std::vector<ValueId> inputs) {
    Shape shape(4, Dim(1));
    for (const ValueId input : inputs) {
      const Shape& from = r_.shape(input);
      for (size_t d = 0; d < from.size(); ++d) {
        if (!from[d].is(1)) shape[4 - from.size() + d] = from[d];
      }
    }
    for (ValueId& input : inputs) input = builder_.broadcast(input, shape);
    return add(op, std::move(inputs));
  }

  Rewriter& r_;
  ops::Builder builder_;
  std::string name_;
};

bool recover(Rewriter& r, ir::NodeId id) {
  if (r.graph().node(id).op != "matmul") return false;
  const ir::Node root = r.graph().node(id);  // a copy: adding nodes moves the graph's own
  const ValueId out = root.outputs[0];
  const auto match = find(r, root);
  if (!match) return false;
  Found found = *match;
  std::vector<ValueId> leaves{found.q, found.k, found.v};
  for (const ScoreMask& mask : found.masks) {
    leaves.push_back(found.is_causal ? mask.value : r.unbroadcast(mask.value));
  }
  if (!r.is_closed(out, leaves)) return false;
  Construction make(r, out);
  if (found.is_q_turned) found.q = make.turned(found.q);
  if (found.is_k_turned) found.k = make.turned(found.k);
  if (found.is_grouped) {
    found.k = make.ungrouped(found.k);
    found.v = make.ungrouped(found.v);
  }
  std::vector<ValueId> inputs{found.q, found.k, found.v};
  // Heads of all batches are those of one.
  for (ValueId& input : inputs) input = make.of_rank_four(input);
  Attributes attributes{{"scale", found.scale}};
  if (found.is_causal) {
    attributes.set("causal", Dim(1));
  } else if (!found.masks.empty()) {
    inputs.push_back(make.mask(found.masks, r.type(found.q).dtype));
  }
  if (!found.is_flat) return r.replace(out, r.add_for(out, "attention", attributes, inputs));
  const Shape shape = r.shape(out);
  const ValueId y = make.attention(inputs, attributes);
  return r.replace(out, r.add_for(out, "reshape", {{"shape", shape}}, {y}));
}

}  // namespace

bool recover_attention(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, recover);
}

}  // namespace cleave::passes
