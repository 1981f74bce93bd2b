// Attention of ONNX Runtime's domain com.microsoft: Attention, MultiHeadAttention, and its
// RotaryEmbedding. Keys and values of earlier calls are not kept.
#include <cmath>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// Throws where an operand is given that brings, or a result is wanted that keeps, keys and values.
void refuse_past(const Conversion& c, std::initializer_list<size_t> inputs, size_t first_kept) {
  constexpr const char* kReason =
      "keys and values of earlier calls (past, present); export the model without a cache";
  for (const size_t i : inputs) {
    if (c.has_input(i)) throw Unsupported{kReason};
  }
  for (size_t i = first_kept; i < c.output_count(); ++i) {
    if (c.wants_output(i)) throw Unsupported{kReason};
  }
}

int64_t heads_of(const Conversion& c) {
  const int64_t heads = c.integer("num_heads");
  if (heads < 1) {
    throw Error(ErrorCode::kInvalid, "the attribute 'num_heads' is " + std::to_string(heads));
  }
  return heads;
}

// Which columns an integer mask lets a query see, as bool of four dimensions: lengths [batch], or
// not 0 in [batch, columns] or [batch, rows, columns].
ir::ValueId visible(Conversion& c, size_t input, const Dim& batch, const Dim& columns) {
  const ir::ValueId mask = c.input(input);
  const Shape shape = c.shape_of(mask);
  if (shape.size() == 1 && provably_equal(shape[0], batch) == std::optional(true)) {
    return columns_before(c, mask, columns);
  }
  if (shape.size() != 2 && shape.size() != 3) {
    throw Unsupported{"the mask " + c.type(input).text() +
                      "; of [batch], [batch, columns] or [batch, rows, columns] it can be"};
  }
  const Shape wide =
      shape.size() == 2 ? Shape{shape[0], 1, 1, shape[1]} : Shape{shape[0], 1, shape[1], shape[2]};
  return c.help("not", {c.reshape(c.binary("equal", mask, 0.0), wide)});
}

// What is added to the scores: `mask_filter_value` where the mask hides a column, and the bias.
std::optional<ir::ValueId> score_terms(Conversion& c, size_t mask, size_t bias, ir::ValueId query,
                                       const Dim& columns) {
  const TensorType type = c.type_of(query);
  std::optional<ir::ValueId> terms;
  if (c.has_input(mask)) {
    const ir::ValueId seen = visible(c, mask, type.shape[0], columns);
    const Shape shape = c.shape_of(seen);
    const ir::ValueId hidden = c.filled({type.dtype, shape}, c.real("mask_filter_value", -10000.0));
    terms = c.help("where", {seen, c.filled({type.dtype, shape}, 0), hidden});
  }
  if (!c.has_input(bias)) return terms;
  if (c.rank(bias) != 4) {
    throw Error(ErrorCode::kInvalid, "the bias of attention is " + c.type(bias).text() +
                                         ", not [batch, heads, rows, columns]");
  }
  return terms ? c.binary("add", *terms, c.input(bias)) : c.input(bias);
}

// Query, key and value [batch, heads, rows, depth] → [batch, rows, heads · depth].
ir::ValueId attend(Conversion& c, ir::ValueId query, ir::ValueId key, ir::ValueId value,
                   std::optional<ir::ValueId> terms) {
  const Shape q = c.shape_of(query);
  const Dim& depth = q[3];
  double scale = c.real("scale", 0.0);
  if (scale == 0.0) {
    if (!depth.is_constant()) throw Unsupported{"a depth of heads that is not known"};
    scale = 1.0 / std::sqrt(static_cast<double>(depth.constant()));
  }
  Attributes attributes{{"scale", scale}};
  if (c.integer("unidirectional", 0) != 0) {
    c.require_equal(q[2], c.shape_of(key)[2], "the rows and columns of unidirectional attention");
    attributes.set("causal", Dim(1));
  }
  std::vector<ir::ValueId> inputs{query, key, value};
  if (terms) inputs.push_back(*terms);
  const ir::ValueId y = c.emit("attention", inputs, std::move(attributes));
  const Shape shape = c.shape_of(y);
  return c.reshape(c.transpose(y, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
}

// The widths of query, key and value in packed weights: three equal ones where none are given.
std::vector<Dim> packed_widths(Conversion& c, const Dim& all) {
  std::vector<Dim> widths(3, floor_div(all, 3));
  if (const auto given = c.integer_list("qkv_hidden_sizes"); given && !given->empty()) {
    if (given->size() != 3) {
      throw Error(ErrorCode::kInvalid, "'qkv_hidden_sizes' are not three");
    }
    widths.assign(given->begin(), given->end());
  }
  c.require_equal(widths[0] + widths[1] + widths[2], all,
                  "the widths of query, key and value and the columns of their weights");
  return widths;
}

// x [batch, rows, width] times packed weights, plus bias.
void attention(Conversion& c) {
  enum : size_t { kX, kWeights, kBias, kMask, kPast, kScoreBias, kPastLength };
  refuse_past(c, {kPast, kPastLength}, 1);
  if (c.integer("do_rotary", 0) != 0) throw Unsupported{"do_rotary=1"};
  if (c.rank(kX) != 3 || c.rank(kWeights) != 2) {
    throw Error(ErrorCode::kInvalid,
                "attention of " + c.type(kX).text() + " with weights " + c.type(kWeights).text());
  }
  const int64_t heads = heads_of(c);
  ir::ValueId packed = c.help("matmul", {c.input(kX), c.input(kWeights)});
  if (c.has_input(kBias)) {
    packed = c.help("add", {packed, c.broadcast(c.input(kBias), c.shape_of(packed))});
  }
  const Shape shape = c.shape_of(packed);
  std::vector<ir::ValueId> parts;
  Shape begin(3);
  for (const Dim& width : packed_widths(c, shape[2])) {
    parts.push_back(by_heads(c, c.part(packed, begin, {shape[0], shape[1], width}), heads));
    begin[2] += width;
  }
  const auto terms = score_terms(c, kMask, kScoreBias, parts[0], shape[1]);
  c.output(0, attend(c, parts[0], parts[1], parts[2], terms));
}

// An operand of MultiHeadAttention by heads, with its part of the bias; of rank 4 it is by heads.
ir::ValueId head_operand(Conversion& c, size_t input, size_t bias, Dim& begin, int64_t heads) {
  const Shape& shape = c.type(input).shape;
  if (shape.size() == 4 && !c.has_input(bias)) return c.input(input);
  if (shape.size() != 3) {
    throw Unsupported{"the operand " + c.type(input).text() +
                      " of attention with a bias, or packed with others"};
  }
  ir::ValueId x = c.input(input);
  if (c.has_input(bias)) {
    x = c.help("add", {x, c.broadcast(c.part(c.input(bias), {begin}, {shape[2]}), shape)});
    begin += shape[2];
  }
  return by_heads(c, x, heads);
}

void multi_head_attention(Conversion& c) {
  enum : size_t { kQuery, kKey, kValue, kBias, kMask, kScoreBias };
  refuse_past(c, {6, 7, 8, 9}, 1);
  if (!c.has_input(kKey) || !c.has_input(kValue)) {
    throw Unsupported{"query, key and value packed in one operand"};
  }
  const int64_t heads = heads_of(c);
  Dim begin = 0;
  const ir::ValueId query = head_operand(c, kQuery, kBias, begin, heads);
  const ir::ValueId key = head_operand(c, kKey, kBias, begin, heads);
  const ir::ValueId value = head_operand(c, kValue, kBias, begin, heads);
  if (c.has_input(kBias)) {
    c.require_equal(begin, c.type(kBias).shape[0], "the biases of query, key and value");
  }
  const auto terms = score_terms(c, kMask, kScoreBias, query, c.shape_of(key)[2]);
  c.output(0, attend(c, query, key, value, terms));
}

// Positions [batch, rows], or the first row's [1] from which the others count on.
ir::ValueId positions_of(Conversion& c, size_t input, const Dim& rows) {
  const ir::ValueId given = c.cast(c.input(input), DType::kInt64);
  if (c.rank(input) == 2) return given;
  if (c.rank(input) != 1) {
    throw Error(ErrorCode::kInvalid,
                "the positions are " + c.type(input).text() + ", not [1] or [batch, rows]");
  }
  c.require_equal(c.type(input).shape[0], 1, "the numbers of first positions");
  const Shape shape{1, rows};
  return c.help("add", {c.indices(shape, 1), c.broadcast(c.reshape(given, {1, 1}), shape)});
}

// x, positions, cosines and sines [positions, depth / 2].
void rotary(Conversion& c) {
  if (c.integer("is_packed_batching", 0) != 0) throw Unsupported{"is_packed_batching=1"};
  if (const double scale = c.real("scale", 1.0); scale != 1.0) throw Unsupported{"a scale"};
  const Shape& shape = c.type(0).shape;
  if (shape.size() < 3 || c.rank(2) != 2) {
    throw Error(ErrorCode::kInvalid,
                "RotaryEmbedding of " + c.type(0).text() + " with angles " + c.type(2).text());
  }
  int64_t heads = c.integer("num_heads", 0);
  if (heads == 0 && shape.size() == 3) {
    // The angles are of whole heads.
    const auto found = exact_div(shape[2], c.type(2).shape[1] * 2);
    if (!found || !found->is_constant()) throw Unsupported{"a number of heads that is not known"};
    heads = found->constant();
  }
  const ir::ValueId positions = positions_of(c, 1, shape[shape.size() - 2]);
  const auto angles = [&](size_t table) {
    return c.help("gather", {c.input(table), positions}, {{"axis", Dim(0)}});
  };
  const ir::ValueId cosines = angles(2);
  c.output(0, rotary_embedding(c, heads, c.integer("rotary_embedding_dim", 0), cosines, angles(3)));
}

void group_query_attention(Conversion&) {
  throw Unsupported{"attention that keeps keys and values between calls; export without a cache"};
}

}  // namespace

void add_microsoft_attention_converters(ConverterTable& table) {
  table.add(kMicrosoft, "Attention", 1, attention);
  table.add(kMicrosoft, "MultiHeadAttention", 1, multi_head_attention);
  table.add(kMicrosoft, "GroupQueryAttention", 1, group_query_attention);
  table.add(kMicrosoft, "RotaryEmbedding", 1, rotary);
}

}  // namespace cleave::onnx
