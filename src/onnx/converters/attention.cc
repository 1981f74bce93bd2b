// ONNX's Attention: scaled dot products over heads, with keys and values of earlier calls before
// those given.
#include <cmath>
#include <limits>
#include <optional>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

enum Input : size_t { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kLengths };
enum Output : size_t { kResult, kPresentKey, kPresentValue, kScores };

void refuse_forms(const Conversion& c) {
  if (c.wants_output(kScores)) throw Unsupported{"the scores as a result (qk_matmul_output)"};
  if (c.real("softcap", 0.0) != 0.0) throw Unsupported{"softcap"};
  for (const char* side : {"left_window_size", "right_window_size"}) {
    if (c.integer(side, -1) >= 0) throw Unsupported{side};
  }
  if (c.has_input(kPastKey) != c.has_input(kPastValue)) {
    throw Error(ErrorCode::kInvalid, "earlier keys and earlier values come together");
  }
}

ir::ValueId head_operand(Conversion& c, size_t input, const char* count) {
  if (c.rank(input) == 4) return c.input(input);
  if (c.rank(input) != 3) {
    throw Error(ErrorCode::kInvalid, "Attention of " + c.type(input).text());
  }
  const int64_t heads = c.integer(count);
  if (heads < 1) {
    throw Error(ErrorCode::kInvalid,
                "the attribute '" + std::string(count) + "' is " + std::to_string(heads));
  }
  return by_heads(c, c.input(input), heads);
}

ir::ValueId behind_past(Conversion& c, size_t past, ir::ValueId rows) {
  return c.has_input(past) ? c.help("concat", {c.input(past), rows}, {{"axis", Dim(2)}}) : rows;
}

// [.., columns] → [batch or 1, heads or 1, rows or 1, columns].
ir::ValueId mask_of(Conversion& c, DType type, const Dim& columns) {
  const TensorType given = c.type(kMask);
  if (given.rank() < 1 || given.rank() > 4) {
    throw Error(ErrorCode::kInvalid, "the mask of Attention is " + given.text());
  }
  if (provably_equal(given.shape.back(), columns) != std::optional(true)) {
    throw Unsupported{"a mask " + given.text() + " of fewer columns than keys"};
  }
  Shape shape = given.shape;
  shape.insert(shape.begin(), 4 - shape.size(), Dim(1));
  const ir::ValueId mask = c.reshape(c.input(kMask), shape);
  return given.dtype == DType::kBool ? mask : c.cast(mask, type);
}

// The mask and what the lengths of keys leave; nothing where all is seen.
std::optional<ir::ValueId> visibility(Conversion& c, DType type, const Dim& columns) {
  std::optional<ir::ValueId> mask;
  if (c.has_input(kMask)) mask = mask_of(c, type, columns);
  if (!c.has_input(kLengths)) return mask;
  if (c.integer("is_causal", 0) != 0) throw Unsupported{"is_causal=1 with nonpad_kv_seqlen"};
  const ir::ValueId valid = columns_before(c, c.input(kLengths), columns);
  if (!mask) return valid;
  if (c.type_of(*mask).dtype == DType::kBool) return c.binary("and", *mask, valid);
  const TensorType hidden{type, c.shape_of(valid)};
  const ir::ValueId added = c.help(
      "where",
      {valid, c.filled(hidden, 0), c.filled(hidden, -std::numeric_limits<double>::infinity())});
  return c.binary("add", *mask, added);
}

void attention(Conversion& c) {
  refuse_forms(c);
  const ir::ValueId query = head_operand(c, kQuery, "q_num_heads");
  const ir::ValueId new_key = head_operand(c, kKey, "kv_num_heads");
  const ir::ValueId key = behind_past(c, kPastKey, new_key);
  const ir::ValueId value = behind_past(c, kPastValue, head_operand(c, kValue, "kv_num_heads"));
  const TensorType type = c.type_of(query);
  const Dim& depth = type.shape[3];
  if (!c.has("scale") && !depth.is_constant()) throw Unsupported{"a depth that is not known"};
  const double scale =
      c.has("scale") ? c.real("scale") : 1.0 / std::sqrt(static_cast<double>(depth.constant()));
  Attributes attributes{{"scale", scale}};
  if (c.integer("is_causal", 0) != 0) {
    attributes.set("causal", Dim(1));
    // The first row sees the first new column, and not the last row the last one.
    const Dim rows = c.shape_of(new_key)[2];
    if (provably_equal(rows, type.shape[2]) != std::optional(true)) {
      attributes.set("row_offset", Dim(0));
      attributes.set("rows_total", rows);
    }
  }
  std::vector<ir::ValueId> inputs{query, key, value};
  if (const auto mask = visibility(c, type.dtype, c.shape_of(key)[2])) inputs.push_back(*mask);
  ir::ValueId y = c.emit("attention", inputs, std::move(attributes));
  if (c.rank(kQuery) == 3) {
    const Shape shape = c.shape_of(y);
    y = c.reshape(c.transpose(y, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
  }
  c.output(kResult, y);
  if (c.wants_output(kPresentKey)) c.output(kPresentKey, key);
  if (c.wants_output(kPresentValue)) c.output(kPresentValue, value);
}

}  // namespace

ir::ValueId by_heads(Conversion& c, ir::ValueId x, int64_t heads) {
  const Shape shape = c.shape_of(x);
  const Dim depth = floor_div(shape[2], heads);
  c.require_equal(depth * heads, shape[2], "the width of all heads and of what is split by them");
  return c.transpose(c.reshape(x, {shape[0], shape[1], heads, depth}), {0, 2, 1, 3});
}

ir::ValueId columns_before(Conversion& c, ir::ValueId lengths, const Dim& columns) {
  const Dim batch = c.shape_of(lengths)[0];
  const Shape shape{batch, 1, 1, columns};
  const ir::ValueId ends = c.reshape(c.cast(lengths, DType::kInt64), {batch, 1, 1, 1});
  return c.help("less", {c.indices(shape, 3), c.broadcast(ends, shape)});
}

void add_attention_converters(ConverterTable& table) { table.add("Attention", 23, attention); }

}  // namespace cleave::onnx
