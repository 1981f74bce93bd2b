// Ops along one axis: running sums, the largest elements, one-hot vectors, reversed sequences.
#include <numeric>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

Dim as_dim(size_t axis) { return static_cast<int64_t>(axis); }

void cumsum(Conversion& c) {
  const std::vector<int64_t> axes = c.integers(1, "the axis");
  if (axes.size() != 1) throw Error(ErrorCode::kInvalid, "CumSum takes one axis");
  c.output(0, c.emit("cumsum", {c.input(0)},
                     {{"axis", as_dim(normal_axis(axes[0], c.rank(0)))},
                      {"exclusive", Dim(c.integer("exclusive", 0) != 0)},
                      {"reverse", Dim(c.integer("reverse", 0) != 0)}}));
}

// The results are in order also where `sorted` does not ask for it.
void top_k(Conversion& c) {
  Dim k;
  if (c.version() < 10) {
    k = c.integer("k");
  } else {
    const std::vector<Dim> given = c.dims(1, "the number of elements");
    if (given.size() != 1) throw Error(ErrorCode::kInvalid, "the input K is not one number");
    k = given[0];
  }
  const bool is_largest = c.version() < 11 || c.integer("largest", 1) != 0;
  const auto results = c.emit_all(
      "top_k", {c.input(0)},
      {{"axis", as_dim(c.axis("axis", c.rank(0), -1))}, {"k", k}, {"largest", Dim(is_largest)}});
  c.output(0, results[0]);
  c.output(1, results[1]);
}

Dim depth_of(Conversion& c) {
  const auto value = c.constant(1);
  const std::vector<Dim> given = value && is_floating(value->dtype) && value->elements() == 1
                                     ? std::vector<Dim>{static_cast<int64_t>(value->get(0))}
                                     : c.dims(1, "the depth of one-hot vectors");
  if (given.size() != 1) throw Error(ErrorCode::kInvalid, "the depth is not one number");
  return given[0];
}

// `on` where the index along the new axis is the given one, which may count from the end.
void one_hot(Conversion& c) {
  const Dim depth = depth_of(c);
  const size_t axis = c.axis("axis", c.rank(0) + 1, -1);
  Shape shape = c.type(0).shape;
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), Dim(1));
  const ir::ValueId given = c.reshape(c.cast(c.input(0), DType::kInt64), shape);
  const ir::ValueId from_end =
      c.help("add", {given, c.broadcast(c.size_of(depth, DType::kInt64), shape)});
  const ir::ValueId index = c.help("where", {c.binary("less", given, 0.0), from_end, given});
  shape[axis] = depth;
  const ir::ValueId is_on = c.help("equal", {c.broadcast(index, shape), c.indices(shape, axis)});
  if (c.rank(2) != 1) throw Error(ErrorCode::kInvalid, "the values are not [off, on]");
  c.require_equal(c.type(2).shape[0], 2, "the number of values");
  const auto choice = [&](int64_t at) {
    const ir::ValueId part = c.part(c.input(2), {Dim(at)}, {Dim(1)});
    return c.broadcast(c.reshape(part, {}), shape);
  };
  c.output(0, c.emit("where", {is_on, choice(1), choice(0)}));
}

// Rows t of a sequence of n: n - 1 - t where t < n, else t.
void reverse_sequence(Conversion& c) {
  const auto time = static_cast<size_t>(c.integer("time_axis", 0));
  const auto batch = static_cast<size_t>(c.integer("batch_axis", 1));
  if (c.rank(0) < 2 || time > 1 || batch > 1 || time == batch) {
    throw Error(ErrorCode::kInvalid,
                "the batch and time axes must be 0 and 1 of " + c.type(0).text());
  }
  if (c.rank(1) != 1) throw Error(ErrorCode::kInvalid, "the lengths are not a vector");
  std::vector<size_t> order(c.rank(0));
  std::iota(order.begin(), order.end(), 0);
  order[0] = batch;
  order[1] = time;
  const ir::ValueId x = c.transpose(c.input(0), order);
  const Shape sequences = c.shape_of(x);
  c.require_equal(c.type(1).shape[0], sequences[0], "the number of lengths");
  const Shape rows{sequences[0], sequences[1]};
  const ir::ValueId length =
      c.broadcast(c.reshape(c.cast(c.input(1), DType::kInt64), {rows[0], Dim(1)}), rows);
  const ir::ValueId row = c.indices(rows, 1);
  const ir::ValueId mirrored = c.help("sub", {c.binary("sub", length, 1.0), row});
  const ir::ValueId from = c.help("where", {c.help("less", {row, length}), mirrored, row});
  const ir::ValueId tuples = c.reshape(from, {rows[0], rows[1], Dim(1)});
  const ir::ValueId y = c.help("gather_nd", {x, tuples}, {{"batch_dims", Dim(1)}});
  c.output(0, c.transpose(y, order));
}

}  // namespace

void add_ordering_converters(ConverterTable& table) {
  table.add("CumSum", 11, cumsum);
  table.add("TopK", 1, top_k);
  table.add("OneHot", 9, one_hot);
  table.add("ReverseSequence", 10, reverse_sequence);
}

}  // namespace cleave::onnx
