// attention: softmax(scale · q kᵀ + mask) v over heads, with key/value heads that query heads
// share.
#include "ops/attention/decompose.h"
#include "ops/attention/reference.h"
#include "ops/operands.h"

namespace cleave::ops {
namespace {

using layout::DimFactors;
using layout::Factor;
using layout::FactorUse;
using layout::ShardingRule;

enum Input : size_t { kQuery, kKey, kValue, kMask };
enum Axis : size_t { kBatch, kHead, kRow, kDepth };
constexpr size_t kColumn = 2;  // of keys and values

// How many query heads share a key head, where heads can be split: a constant.
std::optional<int64_t> splittable_group(const OpContext& context) {
  const Dim& heads = context.inputs[kQuery].shape[kHead];
  const Dim& kv_heads = context.inputs[kKey].shape[kHead];
  if (context.attributes.has("group")) {
    // Heads of a local op may begin inside a group: they are split no further.
    if (context.attributes.dim("group").is(1) && heads == kv_heads) return 1;
    return std::nullopt;
  }
  if (heads == kv_heads) return 1;
  if (kv_heads.is(0)) return std::nullopt;
  const auto group = exact_div(heads, kv_heads);
  if (!group || !group->is_constant() || group->constant() < 1) return std::nullopt;
  return group->constant();
}

class Attention : public OpDefinition {
 public:
  std::string_view name() const override { return "attention"; }

  std::vector<AttributeField> fields() const override {
    using Kind = AttributeField::Kind;
    return {{"scale", Kind::kReal, true},     {"causal", Kind::kDim, false},
            {"group", Kind::kDim, false},     {"head_offset", Kind::kDim, false},
            {"kv_offset", Kind::kDim, false}, {"row_offset", Kind::kDim, false},
            {"rows_total", Kind::kDim, false}};
  }

  std::vector<TensorType> infer_types(const OpContext& context) const override {
    require_inputs(context, 3, 4);
    const TensorType& q = context.inputs[kQuery];
    const TensorType& k = context.inputs[kKey];
    const TensorType& v = context.inputs[kValue];
    const std::string operands = q.text() + ", " + k.text() + ", " + v.text();
    require_floating(q, "the query of attention");
    require_same_dtype(q, k, "query and key of attention");
    require_same_dtype(q, v, "query and value of attention");
    if (q.rank() != 4 || k.rank() != 4 || v.rank() != 4) {
      invalid("attention takes tensors of four dimensions [batch, heads, rows, depth], not " +
              operands);
    }
    const auto equal = [&](const Dim& a, const Dim& b, std::string_view what) {
      return context.require_equal(a, b, std::string(what) + " of attention over " + operands);
    };
    Dim batch = equal(q.shape[kBatch], k.shape[kBatch], "the batches");
    batch = equal(batch, v.shape[kBatch], "the batches");
    equal(k.shape[kHead], v.shape[kHead], "the heads of keys and values");
    equal(k.shape[kColumn], v.shape[kColumn], "the rows of keys and values");
    equal(q.shape[kDepth], k.shape[kDepth], "the depths of queries and keys");
    check_heads(context, operands);
    if (context.has(kMask)) check_mask(context);
    return {{q.dtype, {batch, q.shape[kHead], q.shape[kRow], v.shape[kDepth]}}};
  }

  ShardingRule rule(const OpContext& context) const override {
    const Shape& q = context.inputs[kQuery].shape;
    const Shape& k = context.inputs[kKey].shape;
    const bool causal = context.attributes.integer("causal", 0) != 0;
    const auto group = splittable_group(context);
    constexpr auto kWhole = Factor::Kind::kReplicate;
    constexpr auto kParallel = Factor::Kind::kParallel;
    ShardingRule rule;
    const uint32_t b = rule.add_factor("b", q[kBatch]);
    const uint32_t h = rule.add_factor("h", q[kHead], group ? kParallel : kWhole);
    const uint32_t s = rule.add_factor("s", q[kRow]);
    const uint32_t t = rule.add_factor("t", k[kColumn], kWhole);
    const uint32_t d = rule.add_factor("d", q[kDepth], kWhole);
    const uint32_t e = rule.add_factor("e", context.inputs[kValue].shape[kDepth]);
    // Offsets tell a rank which heads and rows it has, where that matters.
    rule.factors[h].contiguous = group != 1;
    rule.factors[s].contiguous = causal;
    const DimFactors kv_head =
        group ? DimFactors{FactorUse{.factor = h, .divisor = *group}} : DimFactors{};
    rule.inputs = {{along(b), along(h), along(s), along(d)},
                   {along(b), kv_head, along(t), along(d)},
                   {along(b), kv_head, along(t), along(e)}};
    if (context.inputs.size() > kMask) {
      rule.inputs.emplace_back();
      const uint32_t factors[] = {b, h, s, t};
      for (size_t i = 0; context.has(kMask) && i < 4; ++i) {
        const bool stretched = context.inputs[kMask].shape[i].is(1);
        rule.inputs[kMask].push_back(stretched ? DimFactors{} : along(factors[i]));
      }
    }
    rule.outputs = {{along(b), along(h), along(s), along(e)}};
    rule.linear = {{ReduceOp::kSum, {kValue}}};
    return rule;
  }

  Attributes localize(const LocalizeContext& context) const override {
    Attributes attributes = context.whole.attributes;
    const layout::Placement& q = context.placements.inputs[kQuery];
    if (!q.is_shard()) return attributes;
    const auto begin = [&](const layout::Placement& placement) -> Dim {
      if (placement.is_replicate()) return 0;  // the one key head of all query heads
      const auto pieces = placement.cut.pieces(context.rank, context.ranks);
      CLEAVE_CHECK(pieces.size() == 1, "heads and rows of attention are split in one piece a rank");
      return pieces[0].begin;
    };
    const auto group = splittable_group(context.whole);
    if (q.dim == kHead && group && *group > 1) {
      attributes.set("group", Dim(*group));
      attributes.set("head_offset", begin(q));
      attributes.set("kv_offset", begin(context.placements.inputs[kKey]));
    }
    if (q.dim == kRow && attributes.integer("causal", 0) != 0) {
      attributes.set("row_offset", attributes.dim("row_offset", 0) + begin(q));
      attributes.set("rows_total", attributes.dim("rows_total", q.cut.extent()));
    }
    return attributes;
  }

  void reference(const Attributes& attributes, std::span<const HostTensor* const> inputs,
                 std::span<HostTensor> outputs) const override {
    reference_attention(attributes, *inputs[kQuery], *inputs[kKey], *inputs[kValue],
                        inputs.size() > kMask ? inputs[kMask] : nullptr, outputs[0]);
  }

  // Two products, and five operations a score for the softmax; scores that causality hides are not
  // worked out.
  Work work(const OpContext& context, std::span<const TensorType> outputs) const override {
    const Shape& q = context.inputs[kQuery].shape;
    const Dim scores = q[kBatch] * q[kHead] * seen(context);
    const Dim width = context.inputs[kValue].shape[kDepth];
    Work work = OpDefinition::work(context, outputs);
    work.flops = scores * (Dim(2) * (q[kDepth] + width) + 5);
    work.width = q[kDepth];
    if (context.attributes.integer("causal", 0) != 0 && !q[kRow].is(1)) work.kind = "causal";
    return work;
  }

  bool is_composite() const override { return true; }

  std::vector<ir::ValueId> decompose(ir::Graph& graph, const ir::Node& node) const override {
    return decompose_attention(graph, node);
  }

 private:
  // The scores of a head that are worked out. Of rows that follow what is cached, as those of a
  // part of them, the first sees all columns but those of the rows behind it.
  static Dim seen(const OpContext& context) {
    const Dim& rows = context.inputs[kQuery].shape[kRow];
    const Dim& columns = context.inputs[kKey].shape[kColumn];
    if (context.attributes.integer("causal", 0) == 0) return rows * columns;
    const Dim before = context.attributes.dim("row_offset", 0) + columns -
                       context.attributes.dim("rows_total", rows);
    return max(rows * before, Dim(0)) + floor_div(rows * (rows + 1), Dim(2));
  }

  static void check_heads(const OpContext& context, const std::string& operands) {
    const Dim& heads = context.inputs[kQuery].shape[kHead];
    const Dim& kv_heads = context.inputs[kKey].shape[kHead];
    if (context.attributes.has("group") || heads == kv_heads) return;
    if (kv_heads.is(0)) invalid("attention has queries, but no key heads: " + operands);
    if (exact_div(heads, kv_heads)) return;
    context.require_equal(mod(heads, kv_heads), 0,
                          "the query heads of attention over " + operands +
                              " are not shared out evenly to key heads");
  }

  static void check_mask(const OpContext& context) {
    const TensorType& q = context.inputs[kQuery];
    const TensorType& mask = context.inputs[kMask];
    if (mask.dtype != DType::kBool) {
      require_same_dtype(q, mask, "query and mask (where not boolean) of attention");
    }
    if (mask.rank() != 4) invalid("the mask of attention has not four dimensions: " + mask.text());
    const Dim wanted[] = {q.shape[kBatch], q.shape[kHead], q.shape[kRow],
                          context.inputs[kKey].shape[kColumn]};
    for (size_t i = 0; i < 4; ++i) {
      if (mask.shape[i].is(1)) continue;
      context.require_equal(
          mask.shape[i], wanted[i],
          "dimension " + std::to_string(i) + " of the mask " + mask.text() + " of attention");
    }
  }
};

}  // namespace

std::vector<std::shared_ptr<const OpDefinition>> make_attention() {
  return {std::make_shared<Attention>()};
}

}  // namespace cleave::ops
