// Ops that change the shape and keep the elements, and those that read it.
#include <algorithm>
#include <numeric>

#include "onnx/converters.h"
#include "onnx/limits.h"

namespace cleave::onnx {
namespace {

// Axes from the attribute, before `since`, or from an input.
std::optional<std::vector<int64_t>> axes_of(Conversion& c, int64_t since) {
  if (c.version() < since) return c.integer_list("axes");
  if (!c.has_input(1)) return std::nullopt;
  return c.integers(1, "the axes");
}

// The result: the operand in this shape.
void give_reshaped(Conversion& c, const Shape& shape) {
  if (shape == c.type(0).shape) return c.output(0, c.input(0));
  c.output(0, c.emit("reshape", {c.input(0)}, {{"shape", shape}}));
}

// 0 keeps the operand's dimension, one -1 stands for what is left.
void reshape(Conversion& c) {
  const Shape& from = c.type(0).shape;
  Shape shape = c.dims(1, "the dimensions of the result");
  const bool keeps_zeros = c.integer("allowzero", 0) != 0;
  std::optional<size_t> open;
  Dim others = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].is(0) && !keeps_zeros) {
      if (i >= from.size()) {
        throw Error(ErrorCode::kInvalid, "the shape " + text_of(shape) +
                                             " keeps a dimension that " + text_of(from) +
                                             " does not have");
      }
      shape[i] = from[i];
    }
    if (shape[i].is(-1)) {
      if (open) throw Error(ErrorCode::kInvalid, "two dimensions of " + text_of(shape) + " are -1");
      open = i;
      continue;
    }
    others *= shape[i];
  }
  if (open) {
    const Dim total = product(from);
    // Where the division is not provably exact, the reshape's own check of sizes is a guard.
    shape[*open] = others.is(0) ? Dim(0) : floor_div(total, others);
  }
  give_reshaped(c, shape);
}

void to_matrix(Conversion& c) {
  const Shape& from = c.type(0).shape;
  const int64_t given = c.integer("axis", 1);
  // The axis may be the rank: everything before it.
  const size_t axis = given == static_cast<int64_t>(from.size()) ? from.size()
                      : given == 0                               ? 0
                                                                 : normal_axis(given, from.size());
  const std::span<const Dim> all(from);
  const Shape shape{product(all.first(axis)), product(all.subspan(axis))};
  give_reshaped(c, shape);
}

void squeeze(Conversion& c) {
  const Shape& from = c.type(0).shape;
  std::vector<bool> dropped(from.size(), false);
  if (const auto axes = axes_of(c, 13)) {
    for (const size_t axis : normal_axes(*axes, from.size())) {
      c.require_equal(from[axis], 1, "a dimension that Squeeze drops");
      dropped[axis] = true;
    }
  } else {
    for (size_t i = 0; i < from.size(); ++i) dropped[i] = from[i].is(1);
  }
  Shape shape;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!dropped[i]) shape.push_back(from[i]);
  }
  give_reshaped(c, shape);
}

void unsqueeze(Conversion& c) {
  const auto axes = axes_of(c, 13);
  if (!axes) throw Error(ErrorCode::kInvalid, "the axes of Unsqueeze are missing");
  const size_t rank = c.rank(0) + axes->size();
  if (rank > kMaxRank) throw Error(ErrorCode::kInvalid, "a tensor of too many dimensions");
  Shape shape(rank);
  std::vector<bool> added(rank, false);
  for (const size_t axis : normal_axes(*axes, rank)) added[axis] = true;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) shape[i] = added[i] ? Dim(1) : c.type(0).shape[next++];
  give_reshaped(c, shape);
}

void transpose(Conversion& c) {
  const size_t rank = c.rank(0);
  std::vector<size_t> permutation(rank);
  for (size_t i = 0; i < rank; ++i) permutation[i] = rank - 1 - i;
  if (const auto given = c.integer_list("perm")) {
    if (given->size() != rank) {
      throw Error(ErrorCode::kInvalid, "the permutation has " + std::to_string(given->size()) +
                                           " entries for " + c.type(0).text());
    }
    permutation = normal_axes(*given, rank);
  }
  if (std::is_sorted(permutation.begin(), permutation.end())) {
    c.output(0, c.input(0));
    return;
  }
  c.output(0, c.emit("transpose", {c.input(0)}, {{"perm", Conversion::all_dims(permutation)}}));
}

void expand(Conversion& c) {
  const Shape target = c.dims(1, "the dimensions of the result");
  const Shape shape = broadcast_shapes({c.type(0).shape, target});
  if (shape == c.type(0).shape) {
    c.output(0, c.input(0));
    return;
  }
  c.output(0, c.emit("broadcast", {c.input(0)}, {{"shape", shape}}));
}

// Each repeated dimension gets one of its own before it, is stretched there and joined with it.
void tile(Conversion& c) {
  const std::vector<Dim> repeats = c.dims(1, "the repetitions");
  const Shape& from = c.type(0).shape;
  if (repeats.size() != from.size()) {
    throw Error(ErrorCode::kInvalid,
                std::to_string(repeats.size()) + " repetitions for " + c.type(0).text());
  }
  Shape apart, stretched, joined;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!repeats[i].is(1)) {
      apart.emplace_back(1);
      stretched.push_back(repeats[i]);
    }
    apart.push_back(from[i]);
    stretched.push_back(from[i]);
    joined.push_back(from[i] * repeats[i]);
  }
  const ir::ValueId parts = c.reshape(c.input(0), apart);
  c.output(0, c.reshape(c.broadcast(parts, stretched), joined));
}

// The block size of an op on [batch, depth, rows, columns].
int64_t block_of(Conversion& c) {
  if (c.rank(0) != 4) throw Error(ErrorCode::kInvalid, "the operand is " + c.type(0).text());
  const int64_t block = c.integer("blocksize");
  if (block < 1) throw Error(ErrorCode::kInvalid, "the block size is below 1");
  return block;
}

// `extent` / `divisor`, which must be whole.
Dim quotient(Conversion& c, const Dim& extent, int64_t divisor) {
  const Dim result = floor_div(extent, divisor);
  c.require_equal(result * divisor, extent, "a dimension in blocks");
  return result;
}

void rearranged(Conversion& c, const Shape& apart, const std::vector<size_t>& order,
                const Shape& shape) {
  const ir::ValueId parts = c.transpose(c.reshape(c.input(0), apart), order);
  c.output(0, c.reshape(parts, shape));
}

// Depths of blocks or blocks of depths: whether `mode` is CRD, which it is not by default.
bool is_depth_major(Conversion& c) {
  const std::string mode = c.string("mode", "DCR");
  if (mode == "DCR" || mode == "CRD") return mode == "CRD";
  throw Error(ErrorCode::kInvalid, "there is no mode " + mode + " of " + c.node().op);
}

void space_to_depth(Conversion& c) {
  const int64_t block = block_of(c);
  const Shape& x = c.type(0).shape;
  const Dim rows = quotient(c, x[2], block);
  const Dim columns = quotient(c, x[3], block);
  rearranged(c, {x[0], x[1], rows, Dim(block), columns, Dim(block)},
             is_depth_major(c) ? std::vector<size_t>{0, 1, 3, 5, 2, 4}
                               : std::vector<size_t>{0, 3, 5, 1, 2, 4},
             {x[0], x[1] * (block * block), rows, columns});
}

void depth_to_space(Conversion& c) {
  const int64_t block = block_of(c);
  const Shape& x = c.type(0).shape;
  const Dim depth = quotient(c, x[1], block * block);
  const Shape shape{x[0], depth, x[2] * block, x[3] * block};
  if (is_depth_major(c)) {
    rearranged(c, {x[0], depth, Dim(block), Dim(block), x[2], x[3]}, {0, 1, 4, 2, 5, 3}, shape);
  } else {
    rearranged(c, {x[0], Dim(block), Dim(block), depth, x[2], x[3]}, {0, 3, 4, 1, 5, 2}, shape);
  }
}

void shape_of(Conversion& c) {
  const Shape& shape = c.type(0).shape;
  const auto rank = static_cast<int64_t>(shape.size());
  const auto bound = [&](std::string_view name, int64_t otherwise) {
    int64_t value = c.integer(name, otherwise);
    if (value < 0) value += rank;
    return static_cast<size_t>(std::clamp<int64_t>(value, 0, rank));
  };
  const size_t begin = bound("start", 0);
  const size_t end = std::max(begin, bound("end", rank));
  std::vector<Element> elements(shape.begin() + static_cast<ptrdiff_t>(begin),
                                shape.begin() + static_cast<ptrdiff_t>(end));
  c.output(0, SymbolicTensor::list(DType::kInt64, std::move(elements)));
}

void element_count(Conversion& c) {
  c.output(0, SymbolicTensor::scalar(DType::kInt64, c.type(0).elements()));
}

}  // namespace

void add_shape_converters(ConverterTable& table) {
  table.add("Reshape", 5, reshape);
  table.add("Flatten", 1, to_matrix);
  table.add("Squeeze", 1, squeeze);
  table.add("Unsqueeze", 1, unsqueeze);
  table.add("Transpose", 1, transpose);
  table.add("Expand", 8, expand);
  table.add("Tile", 6, tile);
  table.add("SpaceToDepth", 1, space_to_depth);
  table.add("DepthToSpace", 1, depth_to_space);
  table.add("Shape", 1, shape_of);
  table.add("Size", 1, element_count);
}

}  // namespace cleave::onnx
