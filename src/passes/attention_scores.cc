#include "passes/attention_scores.h"

#include "passes/causal_mask.h"

namespace cleave::passes {
namespace {

using ir::ValueId;

constexpr int kMostSteps = 12;

// The operand of a scaling and the factor.
struct Scaled {
  ValueId operand;
  double factor;
};

std::optional<Scaled> scaled(const Rewriter& r, const ir::Node& node) {
  if (node.op == "mul") {
    for (size_t i = 0; i < 2; ++i) {
      if (const auto factor = r.scalar(node.inputs[i])) return Scaled{node.inputs[1 - i], *factor};
    }
  }
  if (node.op == "div") {
    const auto divisor = r.scalar(node.inputs[1]);
    if (divisor && *divisor != 0) return Scaled{node.inputs[0], 1 / *divisor};
  }
  return {};
}

struct Choice {
  ValueId scores;
  ScoreMask mask;
};

std::optional<Choice> choice(const Rewriter& r, const ir::Node& where) {
  const ValueId condition = where.inputs[0];
  if (const auto no = r.scalar(where.inputs[2]); no && *no <= kHiddenScore) {
    return Choice{where.inputs[1], {ScoreMask::Kind::kVisible, condition, *no}};
  }
  if (const auto yes = r.scalar(where.inputs[1]); yes && *yes <= kHiddenScore) {
    return Choice{where.inputs[2], {ScoreMask::Kind::kHidden, condition, *yes}};
  }
  return {};
}

// Whether a product of matrices lies behind steps that scores may take.
bool leads_to_product(const Rewriter& r, ValueId value, int steps) {
  const ir::Node* node = r.producer(value);
  if (node == nullptr || steps == 0) return false;
  if (node->op == "matmul") return true;
  if (node->op == "cast") return leads_to_product(r, node->inputs[0], steps - 1);
  if (const auto s = scaled(r, *node)) return leads_to_product(r, s->operand, steps - 1);
  if (node->op == "where") {
    const auto c = choice(r, *node);
    return c && leads_to_product(r, c->scores, steps - 1);
  }
  return node->op == "add" && (leads_to_product(r, node->inputs[0], steps - 1) ||
                               leads_to_product(r, node->inputs[1], steps - 1));
}

}  // namespace

std::optional<AttentionScores> attention_scores(const Rewriter& r, ValueId value) {
  AttentionScores scores;
  for (int steps = kMostSteps; steps > 0; --steps) {
    const ir::Node* node = r.producer(value);
    if (node == nullptr) return {};
    if (node->op == "matmul") {
      scores.product = value;
      return scores;
    }
    if (const auto s = scaled(r, *node)) {
      scores.scale *= s->factor;
      value = s->operand;
    } else if (r.uncast(value) != value) {
      value = node->inputs[0];
    } else if (scores.scale != 1) {
      return {};
    } else if (node->op == "where") {
      const auto c = choice(r, *node);
      if (!c) return {};
      scores.masks.push_back(c->mask);
      value = c->scores;
    } else if (node->op == "add") {
      const size_t at = leads_to_product(r, node->inputs[0], steps) ? 0 : 1;
      scores.masks.push_back({ScoreMask::Kind::kAdded, node->inputs[1 - at]});
      value = node->inputs[at];
    } else {
      return {};
    }
  }
  return {};
}

}  // namespace cleave::passes
