#include "passes/recover_rotary.h"

#include <algorithm>
#include <array>

#include "passes/repetition.h"
#include "passes/rewriter.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

// One of the two parts of a value along its last dimension.
struct Part {
  ValueId of;
  int which = 0;
  Repetition pattern = Repetition::kHalves;
  bool operator==(const Part&) const = default;
};

std::optional<Part> part_of_slice(const Rewriter& r, const ir::Node& slice) {
  const ValueId x = slice.inputs[0];
  const Shape& whole = r.shape(x);
  const std::vector<Dim>& begin = slice.attributes.dims("begin");
  const std::vector<Dim>& extent = slice.attributes.dims("extent");
  const std::vector<Dim>& step = slice.attributes.dims("step");
  if (whole.empty() || Dim(2) * extent.back() != whole.back()) return {};
  for (size_t d = 0; d + 1 < whole.size(); ++d) {
    if (!begin[d].is(0) || !step[d].is(1) || extent[d] != whole[d]) return {};
  }
  if (step.back().is(1)) {
    if (begin.back().is(0)) return Part{x, 0, Repetition::kHalves};
    if (begin.back() == extent.back()) return Part{x, 1, Repetition::kHalves};
  } else if (step.back().is(2) && (begin.back().is(0) || begin.back().is(1))) {
    return Part{x, begin.back().is(1) ? 1 : 0, Repetition::kPairs};
  }
  return {};
}

std::optional<Part> part_of(const Rewriter& r, ValueId value) {
  const ir::Node* node = r.producer(value);
  if (node == nullptr) return {};
  if (node->op == "slice") return part_of_slice(r, *node);
  if (node->op != "split") return {};
  const std::vector<Dim>& sizes = node->attributes.dims("sizes");
  const size_t rank = r.shape(value).size();
  if (static_cast<size_t>(node->attributes.integer("axis")) + 1 != rank || sizes.size() != 2 ||
      sizes[0] != sizes[1]) {
    return {};
  }
  return Part{node->inputs[0], static_cast<int>(r.graph().value(value).output_index)};
}

// Two values that lie in the halves, or alternate in the pairs, of a last dimension.
struct Joined {
  std::array<ValueId, 2> parts;
  Repetition pattern;
};

std::optional<Joined> joined(const Rewriter& r, ValueId value) {
  const auto concat_of = [&](ValueId whole) -> const ir::Node* {
    const ir::Node* concat = r.made_by(whole, "concat");
    const bool fits =
        concat != nullptr && concat->inputs.size() == 2 &&
        static_cast<size_t>(concat->attributes.integer("axis")) + 1 == r.shape(whole).size() &&
        r.shape(concat->inputs[0]) == r.shape(concat->inputs[1]);
    return fits ? concat : nullptr;
  };
  if (const ir::Node* concat = concat_of(value)) {
    return Joined{{concat->inputs[0], concat->inputs[1]}, Repetition::kHalves};
  }
  const ir::Node* reshape = r.made_by(value, "reshape");
  const ir::Node* concat = reshape ? concat_of(reshape->inputs[0]) : nullptr;
  if (concat == nullptr) return {};
  Joined result{{}, Repetition::kPairs};
  Shape flat = r.shape(concat->outputs[0]);
  if (flat.size() < 2 || !flat.back().is(2)) return {};
  flat.pop_back();
  for (size_t i = 0; i < 2; ++i) {
    const ir::Node* single = r.made_by(concat->inputs[i], "reshape");
    if (single == nullptr || r.shape(single->inputs[0]) != flat) return {};
    result.parts[i] = single->inputs[0];
  }
  flat.back() = flat.back() * 2;
  if (r.shape(value) != flat) return {};
  return result;
}

std::optional<ValueId> negated(const Rewriter& r, ValueId value) {
  if (const ir::Node* neg = r.made_by(value, "neg")) return neg->inputs[0];
  if (const ir::Node* mul = r.made_by(value, "mul")) {
    for (size_t i = 0; i < 2; ++i) {
      if (r.scalar(mul->inputs[i]) == -1.0) return mul->inputs[1 - i];
    }
  }
  return {};
}

// What a rotary embedding is made of.
struct Turn {
  ValueId x, cos, sin;
  Repetition pattern = Repetition::kHalves;
  bool is_repeated = false;  // cos and sin are as long as x
};

// x where `value` is (-x₂, x₁).
std::optional<Part> rotated(const Rewriter& r, ValueId value) {
  const auto parts = joined(r, value);
  if (!parts) return {};
  const auto second = negated(r, parts->parts[0]);
  const auto a = second ? part_of(r, *second) : std::nullopt;
  const auto b = part_of(r, parts->parts[1]);
  if (!a || !b || a->of != b->of || a->which != 1 || b->which != 0 ||
      a->pattern != parts->pattern || b->pattern != parts->pattern) {
    return {};
  }
  return b;
}

std::optional<Turn> match_whole(const Rewriter& r, const ir::Node& add) {
  for (size_t i = 0; i < 2; ++i) {
    const ir::Node* plain = r.made_by(add.inputs[i], "mul");
    const ir::Node* turned = r.made_by(add.inputs[1 - i], "mul");
    if (plain == nullptr || turned == nullptr) return {};
    for (size_t j = 0; j < 2; ++j) {
      const auto x = rotated(r, turned->inputs[j]);
      if (!x) continue;
      for (size_t k = 0; k < 2; ++k) {
        if (plain->inputs[k] != x->of) continue;
        return Turn{x->of, r.unbroadcast(plain->inputs[1 - k]),
                    r.unbroadcast(turned->inputs[1 - j]), x->pattern, true};
      }
    }
  }
  return {};
}

// A product of a part of a value and something else.
struct PartProduct {
  Part part;
  ValueId factor;
};

std::optional<PartProduct> part_product(const Rewriter& r, ValueId value) {
  const ir::Node* mul = r.made_by(value, "mul");
  if (mul == nullptr) return {};
  for (size_t i = 0; i < 2; ++i) {
    if (const auto part = part_of(r, mul->inputs[i])) {
      return PartProduct{*part, r.unbroadcast(mul->inputs[1 - i])};
    }
  }
  return {};
}

std::optional<Turn> match_parts(const Rewriter& r, ValueId root) {
  const auto parts = joined(r, root);
  const ir::Node* sub = parts ? r.made_by(parts->parts[0], "sub") : nullptr;
  const ir::Node* add = parts ? r.made_by(parts->parts[1], "add") : nullptr;
  if (sub == nullptr || add == nullptr) return {};
  const auto a = part_product(r, sub->inputs[0]), b = part_product(r, sub->inputs[1]);
  if (!a || !b || a->part.which != 0 || b->part.which != 1) return {};
  const Part first = a->part, second{first.of, 1, first.pattern};
  if (b->part != second || first.pattern != parts->pattern) return {};
  for (size_t i = 0; i < 2; ++i) {
    const auto c = part_product(r, add->inputs[i]), d = part_product(r, add->inputs[1 - i]);
    if (c && d && c->part == second && d->part == first && c->factor == a->factor &&
        d->factor == b->factor) {
      return Turn{first.of, a->factor, b->factor, first.pattern, false};
    }
  }
  return {};
}

// The part of cos or sin that is repeated.
ValueId shortened(Rewriter& r, ValueId root, ValueId angles, Repetition pattern) {
  const Shape& whole = r.shape(angles);
  std::vector<Dim> begin(whole.size(), 0), step(whole.size(), 1), extent = whole;
  extent.back() = *exact_div(whole.back(), 2);
  if (pattern == Repetition::kPairs) step.back() = 2;
  return r.before(root).add1(r.graph().value(angles).name + "/half", "slice",
                             {{"begin", begin}, {"extent", extent}, {"step", step}}, {angles});
}

bool recover(Rewriter& r, ir::NodeId id) {
  const ir::Node& node = r.graph().node(id);
  if (node.op != "add" && node.op != "concat" && node.op != "reshape") return false;
  const ValueId root = node.outputs[0];
  if (!is_floating(r.type(root).dtype) || r.shape(root).size() < 2) return false;
  const auto found = node.op == "add" ? match_whole(r, node) : match_parts(r, root);
  if (!found || r.shape(found->x) != r.shape(root)) return false;
  Turn turn = *found;
  const auto half = exact_div(r.shape(turn.x).back(), 2);
  if (!half) return false;
  for (const ValueId angles : {turn.cos, turn.sin}) {
    const Shape& shape = r.shape(angles);
    if (shape.empty() || shape.back() != (turn.is_repeated ? *half * 2 : *half)) return false;
    if (turn.is_repeated && !repeats(r, angles, turn.pattern)) return false;
  }
  const ValueId leaves[] = {turn.x, turn.cos, turn.sin};
  if (!r.is_closed(root, leaves)) return false;
  if (turn.is_repeated) {
    turn.cos = shortened(r, root, turn.cos, turn.pattern);
    turn.sin = shortened(r, root, turn.sin, turn.pattern);
  }
  Attributes attributes;
  if (turn.pattern == Repetition::kPairs) attributes.set("interleaved", Dim(1));
  return r.replace(root, r.add_for(root, "rotary", attributes, {turn.x, turn.cos, turn.sin}));
}

}  // namespace

bool recover_rotary(ir::Graph& graph, const ops::Registry& registry) {
  return rewrite_nodes(graph, registry, recover);
}

}  // namespace cleave::passes
