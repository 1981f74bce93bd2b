// Ops that take parts of tensors and put parts together.
#include <algorithm>
#include <variant>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// Values from here on mean "to the end", whatever the dimension.
constexpr int64_t kNoLimit = INT32_MAX;

// A position counted from the front. Where its sign is open, it is taken not to be negative, and a
// guard is added.
Dim from_front(Conversion& c, const Dim& position, const Dim& extent) {
  if (is_provably_natural(position)) return position;
  if (provably_less(position, 0) == std::optional(true)) return position + extent;
  c.require_equal(simple_max(position, 0), position, "a position that must not be negative");
  return position;
}

// Which elements of one dimension a slice takes, always forwards.
struct Range {
  Dim begin;
  Dim extent;
  int64_t step = 1;
  bool reversed = false;
};

Range forward_range(Conversion& c, const Dim& start, const Dim& end, int64_t step,
                    const Dim& extent) {
  const auto clamped = [&](const Dim& given) {
    if (given.is_constant() && given.constant() >= kNoLimit && !extent.is_constant()) return extent;
    if (given.is_constant() && given.constant() <= -kNoLimit) return Dim(0);
    return simple_max(simple_min(from_front(c, given, extent), extent), 0);
  };
  const Dim begin = clamped(start);
  const Dim length = simple_max(clamped(end) - begin, 0);
  return {begin, ceil_div(length, step), step, false};
}

Range backward_range(Conversion& c, const Dim& start, const Dim& end, int64_t step,
                     const Dim& extent) {
  const auto clamped = [&](const Dim& given) {
    if (given.is_constant() && given.constant() >= kNoLimit) return extent - 1;
    if (given.is_constant() && given.constant() <= -kNoLimit) return Dim(-1);
    return simple_max(simple_min(from_front(c, given, extent), extent - 1), -1);
  };
  const Dim first = clamped(start);
  const Dim count = ceil_div(simple_max(first - clamped(end), 0), step);
  return {simple_max(first - (count - 1) * step, 0), count, step, true};
}

ir::ValueId sliced(Conversion& c, ir::ValueId x, const std::vector<Range>& ranges) {
  std::vector<Dim> begin, extent, step, reversed;
  bool is_whole = true;
  for (size_t i = 0; i < ranges.size(); ++i) {
    begin.push_back(ranges[i].begin);
    extent.push_back(ranges[i].extent);
    step.emplace_back(ranges[i].step);
    if (ranges[i].reversed) reversed.emplace_back(static_cast<int64_t>(i));
    is_whole = is_whole && ranges[i].begin.is(0) && ranges[i].extent == c.shape_of(x)[i];
  }
  if (!is_whole) {
    x = c.emit("slice", {x}, {{"begin", begin}, {"extent", extent}, {"step", step}});
  }
  if (!reversed.empty()) x = c.emit("reverse", {x}, {{"axes", reversed}});
  return x;
}

std::vector<Range> whole(const Shape& shape) {
  std::vector<Range> ranges;
  for (const Dim& extent : shape) ranges.push_back({0, extent, 1, false});
  return ranges;
}

void slice_with(Conversion& c, const std::vector<Dim>& starts, const std::vector<Dim>& ends,
                std::optional<std::vector<int64_t>> axes, std::vector<int64_t> steps) {
  const Shape& shape = c.type(0).shape;
  if (!axes) {
    axes.emplace();
    for (size_t i = 0; i < starts.size(); ++i) axes->push_back(static_cast<int64_t>(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes->size() != starts.size() ||
      steps.size() != starts.size()) {
    throw Error(ErrorCode::kInvalid, "the starts, ends, axes and steps differ in number");
  }
  std::vector<Range> ranges = whole(shape);
  const std::vector<size_t> normal = normal_axes(*axes, shape.size());
  for (size_t i = 0; i < normal.size(); ++i) {
    const size_t axis = normal[i];
    if (steps[i] == 0) throw Error(ErrorCode::kInvalid, "a step is 0");
    const int64_t stride = std::clamp<int64_t>(steps[i], -kNoLimit, kNoLimit);
    ranges[axis] = stride > 0 ? forward_range(c, starts[i], ends[i], stride, shape[axis])
                              : backward_range(c, starts[i], ends[i], -stride, shape[axis]);
  }
  c.output(0, sliced(c, c.input(0), ranges));
}

std::vector<Dim> as_dims(const std::optional<std::vector<int64_t>>& values, const char* name) {
  if (!values) {
    throw Error(ErrorCode::kInvalid, std::string("the attribute '") + name + "' is missing");
  }
  return {values->begin(), values->end()};
}

void slice_by_attributes(Conversion& c) {
  slice_with(c, as_dims(c.integer_list("starts"), "starts"),
             as_dims(c.integer_list("ends"), "ends"), c.integer_list("axes"), {});
}

void slice_by_inputs(Conversion& c) {
  std::optional<std::vector<int64_t>> axes;
  std::vector<int64_t> steps;
  if (c.has_input(3)) axes = c.integers(3, "the axes");
  if (c.has_input(4)) steps = c.integers(4, "the steps");
  slice_with(c, c.dims(1, "the starts"), c.dims(2, "the ends"), std::move(axes), std::move(steps));
}

// Equal parts of a dimension; from 18 on the last may be smaller.
std::vector<Dim> equal_parts(Conversion& c, const Dim& extent, int64_t count) {
  if (count < 1 || count != static_cast<int64_t>(c.output_count())) {
    throw Error(ErrorCode::kInvalid, "a split into " + std::to_string(count) + " parts with " +
                                         std::to_string(c.output_count()) + " outputs");
  }
  if (c.version() < 18) {
    const Dim part = floor_div(extent, count);
    c.require_equal(part * count, extent, "the parts of a split");
    return std::vector<Dim>(static_cast<size_t>(count), part);
  }
  const Dim part = ceil_div(extent, count);
  std::vector<Dim> sizes(static_cast<size_t>(count), part);
  sizes.back() = extent - part * (count - 1);
  return sizes;
}

void split(Conversion& c) {
  const size_t axis = c.axis("axis", c.rank(0), 0);
  const Dim& extent = c.type(0).shape[axis];
  std::vector<Dim> sizes;
  const auto attribute = c.version() < 13 ? c.integer_list("split") : std::nullopt;
  if (attribute) {
    sizes.assign(attribute->begin(), attribute->end());
  } else if (c.version() >= 13 && c.has_input(1)) {
    sizes = c.dims(1, "the sizes of the parts");
  } else {
    sizes =
        equal_parts(c, extent, c.integer("num_outputs", static_cast<int64_t>(c.output_count())));
  }
  if (sizes.size() != c.output_count()) {
    throw Error(ErrorCode::kInvalid, "a split into " + std::to_string(sizes.size()) +
                                         " parts with " + std::to_string(c.output_count()) +
                                         " outputs");
  }
  Dim sum;
  for (const Dim& size : sizes) sum += size;
  c.require_equal(sum, extent, "the sizes of a split's parts and the dimension");
  if (sizes.size() == 1) {
    c.output(0, c.input(0));
    return;
  }
  const auto parts = c.emit_all("split", {c.input(0)},
                                {{"axis", Dim(static_cast<int64_t>(axis))}, {"sizes", sizes}});
  for (size_t i = 0; i < parts.size(); ++i) c.output(i, parts[i]);
}

void concat(Conversion& c) {
  if (c.input_count() == 0) throw Error(ErrorCode::kInvalid, "a concatenation of nothing");
  const size_t axis = c.axis("axis", c.rank(0));
  std::vector<ir::ValueId> parts;
  for (size_t i = 0; i < c.input_count(); ++i) parts.push_back(c.input(i));
  if (parts.size() == 1) {
    c.output(0, parts[0]);
    return;
  }
  c.output(0, c.emit("concat", parts, {{"axis", Dim(static_cast<int64_t>(axis))}}));
}

// The range that indices known at import make, if they are consecutive.
std::optional<Range> consecutive(Conversion& c, const Dim& extent) {
  const auto indices = c.known(1);
  if (!indices || indices->elements.empty() || indices->shape.size() > 1) return std::nullopt;
  const Dim& first = indices->elements[0].numerator;
  for (size_t i = 1; i < indices->elements.size(); ++i) {
    const Dim& next = indices->elements[i].numerator;
    if (next != first + static_cast<int64_t>(i)) return std::nullopt;
    // -1 and 0 follow each other but do not lie beside each other.
    if (provably_less(first, 0) != std::optional(false)) return std::nullopt;
  }
  const Dim begin = from_front(c, first, extent);
  const auto count = static_cast<int64_t>(indices->elements.size());
  if (provably_less(extent, begin + count) == std::optional(true) ||
      provably_less(begin, 0) == std::optional(true)) {
    throw Error(ErrorCode::kInvalid,
                "the index " + first.text() + " is outside a dimension of " + extent.text());
  }
  return Range{begin, count, 1, false};
}

void gather(Conversion& c) {
  if (c.rank(0) == 0) throw Error(ErrorCode::kInvalid, "Gather from a scalar");
  const size_t axis = c.axis("axis", c.rank(0), 0);
  const Shape& shape = c.type(0).shape;
  if (const auto range = consecutive(c, shape[axis])) {
    std::vector<Range> ranges = whole(shape);
    ranges[axis] = *range;
    const ir::ValueId part = sliced(c, c.input(0), ranges);
    Shape result = c.shape_of(part);
    if (c.rank(1) == 0) result.erase(result.begin() + static_cast<ptrdiff_t>(axis));
    c.output(0, c.reshape(part, result));
    return;
  }
  c.output(0,
           c.emit("gather", {c.input(0), c.input(1)}, {{"axis", Dim(static_cast<int64_t>(axis))}}));
}

// A value that is data is put where padding a tensor of ones leaves zeros.
ir::ValueId pad_with_data(Conversion& c, ir::ValueId x, Attributes attributes, size_t value) {
  attributes.set("value", 0.0);
  const ir::ValueId padded = c.emit("pad", {x}, attributes);
  const ir::ValueId ones = c.filled({DType::kBool, c.shape_of(x)}, 1);
  const Shape shape = c.shape_of(padded);
  const ir::ValueId around = c.broadcast(c.reshape(c.input(value), {}), shape);
  return c.help("where", {c.help("pad", {ones}, attributes), padded, around});
}

// `value` is the input that holds the padding's value, where it is data.
void pad_with(Conversion& c, const std::vector<Dim>& pads, std::variant<double, size_t> value,
              const std::vector<size_t>& axes) {
  if (pads.size() != 2 * axes.size()) {
    throw Error(ErrorCode::kInvalid, std::to_string(pads.size()) + " paddings for " +
                                         std::to_string(axes.size()) + " axes");
  }
  const Shape& shape = c.type(0).shape;
  std::vector<Range> kept = whole(shape);
  std::vector<Dim> low(shape.size()), high(shape.size());
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = axes[i];
    const Dim& before = pads[i];
    const Dim& behind = pads[axes.size() + i];
    low[axis] = simple_max(before, 0);
    high[axis] = simple_max(behind, 0);
    // Negative paddings take elements away.
    const Dim cut_before = simple_max(-before, 0);
    const Dim cut_behind = simple_max(-behind, 0);
    kept[axis] = {cut_before, shape[axis] - cut_before - cut_behind, 1, false};
    if (kept[axis].extent.bounds({}).high < 0) {
      throw Error(ErrorCode::kInvalid,
                  "paddings of " + before.text() + " and " + behind.text() +
                      " take more than there is: dimension " + std::to_string(axis) + " of " +
                      c.type(0).text(),
                  "check the input 'pads'");
    }
  }
  const ir::ValueId x = sliced(c, c.input(0), kept);
  const auto is_zero = [](const Dim& dim) { return dim.is(0); };
  if (std::all_of(low.begin(), low.end(), is_zero) &&
      std::all_of(high.begin(), high.end(), is_zero)) {
    c.output(0, x);
    return;
  }
  Attributes attributes{{"low", low}, {"high", high}};
  const std::string mode = c.string("mode", "constant");
  if (mode != "constant") {
    attributes.set("mode", mode);
  } else if (const double* constant = std::get_if<double>(&value)) {
    attributes.set("value", *constant);
  } else {
    c.output(0, pad_with_data(c, x, attributes, std::get<size_t>(value)));
    return;
  }
  c.output(0, c.emit("pad", {x}, attributes));
}

std::vector<size_t> all_axes(size_t rank) {
  std::vector<size_t> axes;
  for (size_t i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

void pad_by_attributes(Conversion& c) {
  pad_with(c, as_dims(c.integer_list("pads"), "pads"), c.real("value", 0.0), all_axes(c.rank(0)));
}

void pad_by_inputs(Conversion& c) {
  std::variant<double, size_t> value = 0.0;
  if (c.has_input(2)) {
    c.require_equal(c.type(2).elements(), 1, "the values to pad with");
    const auto given = c.constant(2);
    if (given) value = given->get(0);
    if (!given) value = size_t{2};
  }
  const std::vector<size_t> axes =
      c.has_input(3) ? normal_axes(c.integers(3, "the axes"), c.rank(0)) : all_axes(c.rank(0));
  pad_with(c, c.dims(1, "the paddings"), value, axes);
}

// Keeps a triangle: column - row >= k of the upper, <= k of the lower one.
void trilu(Conversion& c) {
  if (c.rank(0) < 2) throw Error(ErrorCode::kInvalid, "Trilu takes matrices");
  const bool is_upper = c.integer("upper", 1) != 0;
  Dim k;
  if (c.has_input(1)) {
    const std::vector<Dim> given = c.dims(1, "the diagonal's place");
    if (given.size() != 1) throw Error(ErrorCode::kInvalid, "the input k is not a scalar");
    k = given[0];
  }
  const Shape& shape = c.type(0).shape;
  const Shape matrix(shape.end() - 2, shape.end());
  const ir::ValueId row = c.help(
      "iota", {}, {{"shape", matrix}, {"axis", Dim(0)}, {"to", DType::kInt64}, {"offset", k}});
  const ir::ValueId column =
      c.help("iota", {}, {{"shape", matrix}, {"axis", Dim(1)}, {"to", DType::kInt64}});
  const ir::ValueId kept = c.help(is_upper ? "greater_equal" : "less_equal", {column, row});
  const ir::ValueId zero = c.filled(c.type(0), 0);
  c.output(0, c.emit("where", {c.broadcast(kept, shape), c.input(0), zero}));
}

}  // namespace

void add_slicing_converters(ConverterTable& table) {
  table.add("Slice", 1, slice_by_attributes);
  table.add("Slice", 10, slice_by_inputs);
  table.add("Split", 2, split);
  table.add("Concat", 4, concat);
  table.add("Gather", 1, gather);
  table.add("Pad", 2, pad_by_attributes);
  table.add("Pad", 11, pad_by_inputs);
  table.add("Trilu", 14, trilu);
}

}  // namespace cleave::onnx
