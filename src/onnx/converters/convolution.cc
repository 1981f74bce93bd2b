// Conv and ConvTranspose.
#include <algorithm>

#include "onnx/converters.h"
#include "onnx/window_attributes.h"

namespace cleave::onnx {
namespace {

std::vector<Dim> image_of(const Shape& shape) { return {shape.begin() + kImage, shape.end()}; }

int64_t groups_of(const Conversion& c) {
  const int64_t groups = c.integer("group", 1);
  if (groups < 1) {
    throw Error(ErrorCode::kInvalid, "the attribute 'group' is " + std::to_string(groups),
                "it is 1 or more");
  }
  return groups;
}

// The weights' extents behind the channels, which 'kernel_shape' may repeat.
std::vector<Dim> kernel_of(const Conversion& c) {
  if (c.rank(0) < 3) {
    throw Error(ErrorCode::kInvalid,
                "the operand is " + c.type(0).text() + ", but must be [n, c, image...]");
  }
  if (c.rank(0) > 5) throw Unsupported{"it is over more than three dimensions"};
  if (c.rank(1) != c.rank(0)) {
    throw Error(ErrorCode::kInvalid, "the weights " + c.type(1).text() +
                                         " have not as many dimensions as the operand " +
                                         c.type(0).text());
  }
  std::vector<Dim> kernel = image_of(c.type(1).shape);
  const auto stated = c.integer_list("kernel_shape");
  if (stated && std::vector<Dim>(stated->begin(), stated->end()) != kernel) {
    throw Error(ErrorCode::kInvalid, "the attribute 'kernel_shape' is " +
                                         text_of(std::vector<Dim>(stated->begin(), stated->end())) +
                                         ", but the weights are " + c.type(1).text());
  }
  for (const Dim& extent : kernel) {
    if (!extent.is_constant()) throw Unsupported{"the size of its window is not known"};
    if (extent.constant() < 1) {
      throw Error(ErrorCode::kInvalid, "the weights " + c.type(1).text() + " have no elements");
    }
  }
  return kernel;
}

void require_positive(const std::vector<Dim>& values, const char* what) {
  for (const Dim& value : values) {
    if (value.is_constant() && value.constant() < 1) {
      throw Error(ErrorCode::kInvalid, "the " + std::string(what) + " are " + text_of(values) +
                                           ", but must be at least 1");
    }
  }
}

void require_natural(const std::vector<Dim>& pads) {
  for (const Dim& pad : pads) {
    if (pad.is_constant() && pad.constant() < 0) {
      throw Error(ErrorCode::kInvalid, "the pads of a convolution are negative: " + text_of(pads),
                  "slice the operand instead");
    }
  }
}

ir::ValueId convolve(Conversion& c, ir::ValueId x, ir::ValueId w, const Window& window,
                     int64_t groups) {
  Attributes attributes = attributes_of(window);
  attributes.set("groups", Dim(groups));
  return c.emit("conv", {x, w}, attributes);
}

// With the bias of each channel where there is one.
ir::ValueId biased(Conversion& c, ir::ValueId y) {
  if (!c.has_input(2)) return y;
  const Shape shape = c.shape_of(y);
  if (c.rank(2) != 1) {
    throw Error(ErrorCode::kInvalid, "the bias is " + c.type(2).text() + ", but must be a vector");
  }
  c.require_equal(c.type(2).shape[0], shape[1], "the bias of a convolution and its channels");
  Shape along(shape.size() - 1, Dim(1));
  along[0] = shape[1];
  return c.emit("add", {y, c.broadcast(c.reshape(c.input(2), along), shape)});
}

void conv(Conversion& c) { c.output(0, convolution(c)); }

// --- ConvTranspose
//
// Output t = u + low of a dimension sees the inputs i with t = i · stride + k for a tap k. With
// t = q · stride + p and k = p + stride · j these are the i = q − j: each phase p is a convolution
// of stride 1 with the taps p, p + stride, ... in the opposite order. All phases are the channels
// of one convolution, whose result is then interleaved and cut to size.

ir::ValueId sliced(Conversion& c, ir::ValueId x, size_t axis, const Dim& begin, const Dim& extent) {
  Shape extents = c.shape_of(x);
  if (begin.is(0) && extents[axis] == extent) return x;
  std::vector<Dim> begins(extents.size(), Dim(0));
  begins[axis] = begin;
  extents[axis] = extent;
  return c.help("slice", {x},
                {{"begin", begins}, {"extent", extents}, {"step", Shape(extents.size(), Dim(1))}});
}

ir::ValueId joined(Conversion& c, const std::vector<ir::ValueId>& parts, size_t axis) {
  if (parts.size() == 1) return parts[0];
  return c.help("concat", parts, {{"axis", Dim(static_cast<int64_t>(axis))}});
}

// `count` zeros behind the elements along the axis.
ir::ValueId extended(Conversion& c, ir::ValueId x, size_t axis, int64_t count) {
  if (count == 0) return x;
  TensorType type = c.type_of(x);
  type.shape[axis] = count;
  return joined(c, {x, c.filled(type, 0)}, axis);
}

ir::ValueId reversed(Conversion& c, ir::ValueId x, size_t axis) {
  std::vector<ir::ValueId> parts;
  for (int64_t i = c.shape_of(x)[axis].constant(); i-- > 0;) {
    parts.push_back(sliced(c, x, axis, i, 1));
  }
  return joined(c, parts, axis);
}

// Each dimension of the image as (extent, 1) with `count` − 1 zeros behind the 1, and flat again.
ir::ValueId spread(Conversion& c, ir::ValueId x, size_t axis, int64_t count) {
  if (count == 1) return x;
  Shape shape = c.shape_of(x);
  const Dim extent = shape[axis];
  shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis) + 1, Dim(1));
  x = extended(c, c.reshape(x, shape), axis + 1, count - 1);
  shape.erase(shape.begin() + static_cast<ptrdiff_t>(axis) + 1);
  shape[axis] = extent * count;
  return c.reshape(x, shape);
}

struct Transposed {
  std::vector<int64_t> strides;
  std::vector<Dim> taps;     // of the convolution, a dimension
  std::vector<Dim> low;      // what the result leaves out before its first element
  std::vector<Dim> outputs;  // of the result
  std::vector<Dim> places;   // of the convolution
};

// The larger of stride and dilation.
int64_t steps_of(const Window& window, size_t d) {
  return std::max(window.strides[d].constant(), window.dilations[d].constant());
}

// The part of the result that the attributes ask for.
void set_outputs(Conversion& c, const PaddedWindow& padded, Transposed& result) {
  const Window& window = padded.window;
  const std::vector<Dim> image = image_of(c.type(0).shape);
  const auto extra = c.integer_list("output_padding");
  const auto stated = c.integer_list("output_shape");
  const std::string automatic = c.string("auto_pad", "NOTSET");
  for (const auto* list : {&extra, &stated}) {
    if (*list && (*list)->size() < image.size()) {
      throw Error(ErrorCode::kInvalid, "'output_padding' or 'output_shape' is too short");
    }
  }
  for (size_t d = 0; d < image.size(); ++d) {
    const int64_t behind = extra ? (*extra)[d] : 0;
    if (behind < 0 || (behind > 0 && behind >= steps_of(window, d))) {
      throw Error(
          ErrorCode::kInvalid,
          "'output_padding' is " + std::to_string(behind) + " in dimension " + std::to_string(d),
          "it is 0 or more, and less than the stride or the dilation");
    }
    const Dim all = (image[d] - 1) * window.strides[d] + window.reach(d) + behind;
    Dim low = window.low[d];
    Dim outputs = all - low - padded.high[d];
    if (stated || automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      // A list for all dimensions names batch and channels too.
      outputs =
          stated ? Dim((*stated)[stated->size() - image.size() + d]) : image[d] * window.strides[d];
      const Dim left_out = simple_max(all - outputs, 0);
      const Dim half = floor_div(left_out, 2);
      low = automatic == "SAME_UPPER" ? half : left_out - half;
    }
    if (outputs.is_constant() && outputs.constant() < 0) {
      throw Error(ErrorCode::kInvalid, "the pads leave " + outputs.text() +
                                           " elements of dimension " + std::to_string(d) +
                                           " of the result");
    }
    result.low.push_back(low);
    result.outputs.push_back(outputs);
    result.places.push_back(ceil_div(low + outputs, result.strides[d]));
  }
}

// The weights are filled up with zeros to whole strides, and between dilated taps.
void require_small_weights(const Conversion& c, const Window& window) {
  constexpr int64_t kMost = int64_t{1} << 31;
  Dim elements = c.type(1).shape[0] * c.type(1).shape[1];
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    elements *= ceil_div(window.reach(d), window.strides[d]) * window.strides[d];
    if (!elements.is_constant() || elements.constant() <= kMost) continue;
    throw Error(ErrorCode::kInvalid,
                "strides " + text_of(window.strides) + " and dilations " +
                    text_of(window.dilations) + " spread the weights " + c.type(1).text() +
                    " over more than 2^31 elements",
                "check the attributes 'strides' and 'dilations'");
  }
}

// [c, o / g, k...] → [g · phases · (o / g), c / g, taps...].
ir::ValueId phase_weights(Conversion& c, ir::ValueId w, const Window& window, int64_t groups,
                          Transposed& result) {
  const size_t dimensions = result.strides.size();
  for (size_t d = 0; d < dimensions; ++d) {
    w = spread(c, w, kImage + d, window.dilations[d].constant());
    w = sliced(c, w, kImage + d, 0, window.reach(d));
    const int64_t taps = ceil_div(window.reach(d).constant(), result.strides[d]);
    w = extended(c, w, kImage + d, taps * result.strides[d] - window.reach(d).constant());
    result.taps.emplace_back(taps);
  }
  const Shape shape = c.shape_of(w);
  const auto channels = exact_div(shape[0], groups);
  if (!channels) {
    throw Error(ErrorCode::kInvalid, std::to_string(groups) + " groups do not divide the " +
                                         shape[0].text() + " input channels");
  }
  Shape split = {Dim(groups), *channels, shape[1]};
  std::vector<size_t> order = {0};
  Dim made = shape[1] * groups;
  for (size_t d = 0; d < dimensions; ++d) {
    split.push_back(result.taps[d]);
    split.emplace_back(result.strides[d]);
    order.push_back(4 + 2 * d);
    made *= result.strides[d];
  }
  order.push_back(2);
  order.push_back(1);
  for (size_t d = 0; d < dimensions; ++d) order.push_back(3 + 2 * d);
  w = c.transpose(c.reshape(w, split), order);
  Shape flat = {made, *channels};
  flat.insert(flat.end(), result.taps.begin(), result.taps.end());
  w = c.reshape(w, flat);
  for (size_t d = 0; d < dimensions; ++d) w = reversed(c, w, kImage + d);
  return w;
}

// [n, g · phases · (o / g), q...] → [n, o, outputs...].
ir::ValueId interleaved(Conversion& c, ir::ValueId y, const Dim& channels, int64_t groups,
                        const Transposed& result) {
  const size_t dimensions = result.strides.size();
  const Dim images = c.shape_of(y)[0];
  Shape split = {images};
  std::vector<size_t> order = {0};
  if (groups != 1) {
    split.emplace_back(groups);
    order.push_back(1);
  }
  const size_t phases = split.size();
  for (const int64_t stride : result.strides) split.emplace_back(stride);
  order.push_back(split.size());
  split.push_back(*exact_div(channels, groups));
  const size_t places = split.size();
  split.insert(split.end(), result.places.begin(), result.places.end());
  Shape flat = {images, channels};
  for (size_t d = 0; d < dimensions; ++d) {
    order.push_back(places + d);
    order.push_back(phases + d);
    flat.push_back(result.places[d] * result.strides[d]);
  }
  y = c.reshape(c.transpose(c.reshape(y, split), order), flat);
  for (size_t d = 0; d < dimensions; ++d) {
    y = sliced(c, y, kImage + d, result.low[d], result.outputs[d]);
  }
  return y;
}

void conv_transpose(Conversion& c) {
  const PaddedWindow padded = window_of(c, kernel_of(c));
  const Window& window = padded.window;
  require_positive(window.strides, "strides");
  require_positive(window.dilations, "dilations");
  require_natural(window.low);
  require_natural(padded.high);
  const int64_t groups = groups_of(c);
  Transposed result;
  for (const Dim& stride : window.strides) result.strides.push_back(stride.constant());
  set_outputs(c, padded, result);
  const Dim channels = c.type(1).shape[1] * groups;
  require_small_weights(c, window);
  const ir::ValueId w = phase_weights(c, c.input(1), window, groups, result);
  Window dense{result.taps,
               std::vector<Dim>(result.taps.size(), Dim(1)),
               std::vector<Dim>(result.taps.size(), Dim(1)),
               {},
               result.places};
  for (const Dim& taps : result.taps) dense.low.push_back(taps - 1);
  const ir::ValueId y = convolve(c, c.input(0), w, dense, groups);
  c.output(0, biased(c, interleaved(c, y, channels, groups, result)));
}

}  // namespace

ir::ValueId convolution(Conversion& c) {
  PaddedWindow padded = window_of(c, kernel_of(c));
  padded.window.outputs = windows_of(c, padded);
  const int64_t groups = groups_of(c);
  const Dim& channels = c.type(1).shape[0];
  if (channels.is_constant() && channels.constant() % groups != 0) {
    throw Error(ErrorCode::kInvalid, std::to_string(groups) + " groups do not divide the " +
                                         channels.text() + " output channels");
  }
  return biased(c, convolve(c, c.input(0), c.input(1), padded.window, groups));
}

void add_convolution_converters(ConverterTable& table) {
  table.add("Conv", 1, conv);
  table.add("ConvTranspose", 1, conv_transpose);
}

}  // namespace cleave::onnx
