// MaxPool, AveragePool, LpPool.
#include <algorithm>

#include "onnx/converters.h"
#include "onnx/window_attributes.h"

namespace cleave::onnx {
namespace {

struct PoolWindow {
  Window window;
  std::vector<Dim> high;  // the padding behind the image, without what ceil_mode adds
  Attributes attributes() const {
    Attributes attributes = attributes_of(window);
    attributes.set("kernel", window.kernel);
    return attributes;
  }
  // Whether the one window is `image`, as global poolings have it.
  bool sees_exactly(std::span<const Dim> image) const {
    for (size_t d = 0; d < image.size(); ++d) {
      const bool is_whole = window.outputs[d].is(1) && window.low[d].is(0) &&
                            window.dilations[d].is(1) && window.kernel[d] == image[d];
      if (!is_whole) return false;
    }
    return true;
  }
};

void require_some_image(const PaddedWindow& padded) {
  const auto check = [&](const std::vector<Dim>& padding, size_t d) {
    const Dim room = padding[d] - padded.window.reach(d);
    if (!room.is_constant() || room.constant() < 0 || padding[d].is(0)) return;
    throw Error(ErrorCode::kInvalid,
                "the pads are " + text_of(padded.window.low) + " before and " +
                    text_of(padded.high) + " behind the image: a window of " +
                    padded.window.reach(d).text() + " elements in dimension " + std::to_string(d) +
                    " would see padding alone",
                "pads have to be smaller than the kernel");
  };
  for (size_t d = 0; d < padded.high.size(); ++d) {
    check(padded.window.low, d);
    check(padded.high, d);
  }
}

// With ceil_mode a last window may reach beyond the padding, if it begins before the padding behind
// the image: by at most stride − 1, and at most reach − high − 1.
PoolWindow pool_window(Conversion& c) {
  const auto kernel = c.integer_list("kernel_shape");
  if (!kernel) throw Error(ErrorCode::kInvalid, "the attribute 'kernel_shape' is missing");
  PaddedWindow padded = window_of(c, {kernel->begin(), kernel->end()});
  PoolWindow result{padded.window, padded.high};
  require_some_image(padded);
  if (c.integer("ceil_mode", 0) != 0 && c.string("auto_pad", "NOTSET") == "NOTSET") {
    for (size_t d = 0; d < padded.high.size(); ++d) {
      const Dim beyond =
          min(result.window.strides[d] - 1, result.window.reach(d) - padded.high[d] - 1);
      padded.high[d] += max(beyond, 0);
    }
  }
  result.window.outputs = windows_of(c, padded);
  return result;
}

// ONNX counts the index of a maximum through the whole operand, not its plane.
ir::ValueId whole_index(Conversion& c, ir::ValueId index) {
  const std::span<const Dim> shape(c.type(0).shape);
  const Dim planes = product(shape.first(2));
  const ir::ValueId plane =
      c.help("iota", {}, {{"shape", Shape{planes}}, {"axis", Dim(0)}, {"to", DType::kInt64}});
  const ir::ValueId size = c.size_of(product(shape.subspan(2)), DType::kInt64);
  const ir::ValueId first = c.help("mul", {plane, c.broadcast(size, {planes})});
  Shape kept(shape.size(), 1);
  kept[0] = shape[0];
  kept[1] = shape[1];
  return c.help("add", {index, c.broadcast(c.reshape(first, kept), c.shape_of(index))});
}

bool is_global(const Conversion& c, const PoolWindow& pool) {
  return pool.sees_exactly(std::span(c.type(0).shape).subspan(2));
}

void max_pool(Conversion& c) {
  const PoolWindow pool = pool_window(c);
  Attributes attributes = pool.attributes();
  if (c.wants_output(0) && is_global(c, pool)) {
    global_max_pool(c);
  } else if (c.wants_output(0)) {
    c.output(0, c.emit("max_pool", {c.input(0)}, attributes));
  }
  if (!c.wants_output(1)) return;
  attributes.set("column_major", Dim(c.integer("storage_order", 0) != 0 ? 1 : 0));
  c.output(1, whole_index(c, c.emit("max_pool_index", {c.input(0)}, attributes)));
}

void average_pool(Conversion& c) {
  const PoolWindow pool = pool_window(c);
  if (is_global(c, pool)) return global_average_pool(c);
  Attributes attributes = pool.attributes();
  const bool counts_padding = c.integer("count_include_pad", 0) != 0;
  const std::vector<Dim> none(pool.high.size());
  attributes.set("counted_low", counts_padding ? pool.window.low : none);
  attributes.set("counted_high", counts_padding ? pool.high : none);
  c.output(0, c.emit("average_pool", {c.input(0)}, attributes));
}

void lp_pool(Conversion& c) {
  const PoolWindow pool = pool_window(c);
  if (is_global(c, pool)) return global_lp_pool(c);
  Attributes attributes = pool.attributes();
  attributes.set("p", Dim(c.integer("p", 2)));
  c.output(0, c.emit("lp_pool", {c.input(0)}, attributes));
}

}  // namespace

void add_pooling_converters(ConverterTable& table) {
  table.add("MaxPool", 1, max_pool);
  table.add("AveragePool", 1, average_pool);
  table.add("LpPool", 2, lp_pool);
}

}  // namespace cleave::onnx
