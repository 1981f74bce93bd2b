// Reductions. The IR drops reduced dimensions; ONNX keeps them as 1 unless told otherwise.
#include <algorithm>

#include "onnx/converters.h"

namespace cleave::onnx {
namespace {

// What a reduction leaves of a shape.
struct Reduction {
  std::vector<size_t> axes;
  bool keeps_dims = true;
  bool is_nothing = false;  // noop_with_empty_axes
  Shape kept;               // reduced dimensions as 1
};

// Axes from the attribute, before `since`, or from an input.
Reduction reduction_of(Conversion& c, int64_t since) {
  const size_t rank = c.rank(0);
  Reduction r;
  r.keeps_dims = c.integer("keepdims", 1) != 0;
  std::vector<int64_t> axes;
  if (c.version() < since) {
    axes = c.integer_list("axes").value_or(std::vector<int64_t>());
  } else if (c.has_input(1)) {
    axes = c.integers(1, "the axes");
  }
  if (axes.empty()) {
    r.is_nothing = c.version() >= since && c.integer("noop_with_empty_axes", 0) != 0;
    for (size_t i = 0; i < rank; ++i) r.axes.push_back(i);
  } else {
    r.axes = normal_axes(axes, rank);
    std::sort(r.axes.begin(), r.axes.end());
  }
  r.kept = c.type(0).shape;
  for (const size_t axis : r.axes) r.kept[axis] = 1;
  return r;
}

ir::ValueId reduced(Conversion& c, std::string_view op, ir::ValueId x, const Reduction& r) {
  if (r.axes.empty()) return x;
  return c.emit(op, {x}, {{"axes", Conversion::all_dims(r.axes)}});
}

void finish(Conversion& c, const Reduction& r, ir::ValueId y) {
  c.output(0, r.keeps_dims ? c.reshape(y, r.kept) : y);
}

// What `make` makes of the operand; where nothing is reduced, the operand itself. The axes are an
// input since version `since`.
template <class Make>
void reduce_with(Conversion& c, int64_t since, Make&& make) {
  const Reduction r = reduction_of(c, since);
  if (r.is_nothing) {
    c.output(0, c.input(0));
  } else {
    finish(c, r, make(r));
  }
}

// Of the Global poolings: all of [n, c, image...] but n and c.
Reduction image_reduction(const Conversion& c) {
  Reduction r;
  r.kept = c.type(0).shape;
  if (r.kept.size() < 2) {
    throw Error(ErrorCode::kInvalid,
                "the operand is " + c.type(0).text() + ", but must be [n, c, image...]");
  }
  for (size_t d = 2; d < r.kept.size(); ++d) {
    r.axes.push_back(d);
    r.kept[d] = 1;
  }
  return r;
}

// What stands before and behind the reduction itself.
using Step = ir::ValueId (*)(Conversion&, ir::ValueId);
ir::ValueId same(Conversion&, ir::ValueId x) { return x; }
ir::ValueId absolute(Conversion& c, ir::ValueId x) { return c.help("abs", {x}); }
ir::ValueId square(Conversion& c, ir::ValueId x) { return c.help("mul", {x, x}); }
ir::ValueId root(Conversion& c, ir::ValueId x) { return c.help("sqrt", {x}); }
ir::ValueId logarithm(Conversion& c, ir::ValueId x) { return c.help("log", {x}); }

Converter reduction(std::string op, int64_t since, Step before = same, Step behind = same) {
  return [=](Conversion& c) {
    reduce_with(c, since, [&](const Reduction& r) {
      ir::ValueId x = c.input(0);
      if (before != same || behind != same) x = c.wide(x);
      const ir::ValueId y = behind(c, reduced(c, op, before(c, x), r));
      return c.cast(y, c.type(0).dtype);
    });
  };
}

ir::ValueId mean_over(Conversion& c, const Reduction& r) {
  Dim count = 1;
  for (const size_t axis : r.axes) count *= c.type(0).shape[axis];
  const ir::ValueId sum = reduced(c, "reduce_sum", c.wide(c.input(0)), r);
  const ir::ValueId divisor = c.size_of(count, c.type_of(sum).dtype);
  const ir::ValueId y = c.help("div", {sum, c.broadcast(divisor, c.shape_of(sum))});
  return c.cast(y, c.type(0).dtype);
}

void mean(Conversion& c) {
  reduce_with(c, 18, [&](const Reduction& r) { return mean_over(c, r); });
}

// log(sum(exp(x - m))) + m, m the largest: no exponential overflows.
void log_sum_exp(Conversion& c) {
  reduce_with(c, 18, [&](const Reduction& r) {
    const ir::ValueId x = c.input(0);
    const ir::ValueId largest = reduced(c, "reduce_max", x, r);
    const ir::ValueId wide = c.broadcast(c.reshape(largest, r.kept), c.shape_of(x));
    const ir::ValueId powers = c.help("exp", {c.help("sub", {x, wide})});
    const ir::ValueId sum = reduced(c, "reduce_sum", powers, r);
    return c.help("add", {c.help("log", {sum}), largest});
  });
}

Converter arg_extreme(std::string op) {
  return [op](Conversion& c) {
    const size_t axis = c.axis("axis", c.rank(0), 0);
    const bool is_last = c.integer("select_last_index", 0) != 0;
    const std::vector<Dim> along{Dim(static_cast<int64_t>(axis))};
    Shape kept = c.type(0).shape;
    const Dim extent = kept[axis];
    kept[axis] = 1;
    ir::ValueId x = c.input(0);
    if (is_last) x = c.help("reverse", {x}, {{"axes", along}});
    ir::ValueId y = c.emit(op, {x}, {{"axis", along[0]}});
    if (is_last) {
      const ir::ValueId last = c.size_of(extent - 1, DType::kInt64);
      y = c.help("sub", {c.broadcast(last, c.shape_of(y)), y});
    }
    c.output(0, c.integer("keepdims", 1) != 0 ? c.reshape(y, kept) : y);
  };
}

}  // namespace

void global_average_pool(Conversion& c) {
  const Reduction r = image_reduction(c);
  finish(c, r, mean_over(c, r));
}

void global_max_pool(Conversion& c) {
  const Reduction r = image_reduction(c);
  finish(c, r, reduced(c, "reduce_max", c.input(0), r));
}

void global_lp_pool(Conversion& c) {
  const Reduction r = image_reduction(c);
  const int64_t p = c.integer("p", 2);
  if (p < 1) throw Error(ErrorCode::kInvalid, "the attribute 'p' is " + std::to_string(p));
  const auto power = [&](ir::ValueId x, double exponent) {
    return exponent == 1 ? x : c.help("pow", {x, c.filled(c.type_of(x), exponent)});
  };
  const double exponent = static_cast<double>(p);
  const ir::ValueId x = c.help("abs", {c.wide(c.input(0))});
  const ir::ValueId sum = reduced(c, "reduce_sum", power(x, exponent), r);
  finish(c, r, c.cast(power(sum, 1 / exponent), c.type(0).dtype));
}

void add_reduction_converters(ConverterTable& table) {
  table.add("ReduceSum", 1, reduction("reduce_sum", 13));
  table.add("ReduceMax", 1, reduction("reduce_max", 18));
  table.add("ReduceMin", 1, reduction("reduce_min", 18));
  table.add("ReduceProd", 1, reduction("reduce_prod", 18));
  table.add("ReduceL1", 1, reduction("reduce_sum", 18, absolute));
  table.add("ReduceL2", 1, reduction("reduce_sum", 18, square, root));
  table.add("ReduceSumSquare", 1, reduction("reduce_sum", 18, square));
  table.add("ReduceLogSum", 1, reduction("reduce_sum", 18, same, logarithm));
  table.add("ReduceLogSumExp", 1, log_sum_exp);
  table.add("ReduceMean", 1, mean);
  table.add("GlobalAveragePool", 1, global_average_pool);
  table.add("GlobalMaxPool", 1, global_max_pool);
  table.add("GlobalLpPool", 2, global_lp_pool);
  table.add("ArgMax", 1, arg_extreme("arg_max"));
  table.add("ArgMin", 1, arg_extreme("arg_min"));
}

}  // namespace cleave::onnx
