#include "onnx/window_attributes.h"

#include "ops/window.h"

namespace cleave::onnx {
namespace {

std::vector<Dim> list(const Conversion& c, std::string_view name, size_t count, int64_t otherwise) {
  const auto given = c.integer_list(name);
  if (!given) return std::vector<Dim>(count, otherwise);
  if (given->size() != count) {
    throw Error(ErrorCode::kInvalid, "the attribute '" + std::string(name) + "' has " +
                                         std::to_string(given->size()) + " entries where " +
                                         std::to_string(count) + " are needed");
  }
  return {given->begin(), given->end()};
}

// What the windows need beyond the image. A window shorter than a stride may leave a rest unseen.
Dim same_padding(const Window& window, size_t d, const Dim& image) {
  const Dim& stride = window.strides[d];
  const Dim missing = (ceil_div(image, stride) - 1) * stride + window.reach(d) - image;
  return is_provably_natural(window.reach(d) - stride) ? missing : simple_max(missing, 0);
}

}  // namespace

PaddedWindow window_of(const Conversion& c, std::vector<Dim> kernel) {
  if (c.rank(0) < 3) {
    throw Error(ErrorCode::kInvalid,
                "the operand is " + c.type(0).text() + ", but must be [n, c, image...]");
  }
  const std::span<const Dim> image = std::span(c.type(0).shape).subspan(2);
  const size_t count = image.size();
  if (kernel.size() != count) {
    throw Error(ErrorCode::kInvalid, "the kernel has " + std::to_string(kernel.size()) +
                                         " dimensions, the image " + std::to_string(count));
  }
  PaddedWindow padded{{.kernel = std::move(kernel),
                       .strides = list(c, "strides", count, 1),
                       .dilations = list(c, "dilations", count, 1),
                       .low = std::vector<Dim>(count),
                       .outputs = {}},
                      std::vector<Dim>(count)};
  Window& window = padded.window;
  const std::string automatic = c.string("auto_pad", "NOTSET");
  if (automatic == "NOTSET") {
    const std::vector<Dim> pads = list(c, "pads", 2 * count, 0);
    std::copy_n(pads.begin(), count, window.low.begin());
    std::copy_n(pads.begin() + static_cast<ptrdiff_t>(count), count, padded.high.begin());
  } else if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    for (size_t d = 0; d < count; ++d) {
      if (window.strides[d].constant() < 1) {
        throw Error(ErrorCode::kInvalid,
                    "the strides are " + text_of(window.strides) + ", but must be at least 1");
      }
      const Dim padding = same_padding(window, d, image[d]);
      const Dim half = floor_div(padding, 2);
      window.low[d] = automatic == "SAME_UPPER" ? half : padding - half;
      padded.high[d] = padding - window.low[d];
    }
  } else if (automatic != "VALID") {
    throw Error(ErrorCode::kInvalid, "auto_pad is '" + automatic + "'",
                "it is NOTSET, SAME_UPPER, SAME_LOWER or VALID");
  }
  return padded;
}

std::vector<Dim> windows_of(Conversion& c, const PaddedWindow& padded) {
  static const Attributes kNone;
  std::vector<SizeGuard> guards;
  const ops::OpContext context{kNone, {}, {}, {}, &guards};
  const std::span<const Dim> image = std::span(c.type(0).shape).subspan(kImage);
  const std::vector<Dim> outputs = ops::window_extents(context, image, padded.window, padded.high);
  for (const SizeGuard& guard : guards) c.require_equal(guard.a, guard.b, guard.where);
  return outputs;
}

Attributes attributes_of(const Window& window) {
  return {{"strides", window.strides},
          {"dilations", window.dilations},
          {"low", window.low},
          {"outputs", window.outputs}};
}

}  // namespace cleave::onnx
