#include "ops/window.h"

#include "ops/operands.h"

namespace cleave::ops {
namespace {

// Products of two such stay far from overflowing.
constexpr int64_t kMostStep = int64_t{1} << 31;

void require_entries(const std::vector<Dim>& values, size_t count, int64_t least,
                     const std::string& what) {
  if (values.size() != count) {
    invalid("a window over " + std::to_string(count) + " dimensions has " +
            std::to_string(values.size()) + " " + what);
  }
  for (size_t d = 0; d < count; ++d) {
    if (values[d].bounds({}).high < least) {
      invalid("the " + what + " of a window are " + text_of(values) + ", but must be at least " +
              std::to_string(least));
    }
  }
}

}  // namespace

std::vector<AttributeField> window_fields() {
  using Kind = AttributeField::Kind;
  return {{"strides", Kind::kDims},
          {"dilations", Kind::kDims},
          {"low", Kind::kDims},
          {"outputs", Kind::kDims}};
}

void check_window(const Window& window, size_t dimensions, std::string_view op) {
  if (dimensions < 1 || dimensions > kMaxImageDims) {
    invalid(std::string(op) + " moves over 1 to " + std::to_string(kMaxImageDims) +
            " dimensions behind batch and channels, not " + std::to_string(dimensions));
  }
  const auto check_list = [&](const std::vector<Dim>& values, const char* name) {
    if (values.size() == dimensions) return;
    invalid(std::string(op) + " over " + std::to_string(dimensions) + " dimension(s) has " +
            std::to_string(values.size()) + " value(s) for '" + name + "'");
  };
  const auto check_positive = [&](const std::vector<Dim>& values, const char* name) {
    check_list(values, name);
    for (const Dim& value : values) {
      if (value.is_constant() && value.constant() >= 1 && value.constant() <= kMostStep) continue;
      invalid("'" + std::string(name) + "' of " + std::string(op) + " is " + text_of(values),
              "its values have to be numbers between 1 and 2^31");
    }
  };
  check_positive(window.strides, "strides");
  check_positive(window.dilations, "dilations");
  check_list(window.kernel, "kernel");
  for (const Dim& kernel : window.kernel) {
    if (kernel.bounds({}).high >= 1) continue;
    invalid("'kernel' of " + std::string(op) + " is " + text_of(window.kernel),
            "its values have to be at least 1");
  }
  check_list(window.low, "low");
  check_list(window.outputs, "outputs");
  for (const Dim& outputs : window.outputs) {
    if (outputs.bounds({}).high >= 0) continue;
    invalid("'outputs' of " + std::string(op) + " is negative: " + text_of(window.outputs));
  }
}

Shape window_extents(const OpContext& context, std::span<const Dim> image, const Window& window,
                     const std::vector<Dim>& high) {
  if (image.empty() || image.size() > kMaxImageDims) {
    invalid("a window moves over 1 to " + std::to_string(kMaxImageDims) + " dimensions, not " +
            std::to_string(image.size()));
  }
  require_entries(window.kernel, image.size(), 1, "kernel sizes");
  require_entries(window.strides, image.size(), 1, "strides");
  require_entries(window.dilations, image.size(), 1, "dilations");
  require_entries(window.low, image.size(), 0, "paddings before the image");
  require_entries(high, image.size(), 0, "paddings behind the image");
  Shape extents;
  for (size_t d = 0; d < image.size(); ++d) {
    const Dim padded = image[d] + window.low[d] + high[d];
    const Dim room = padded - window.reach(d);
    const Interval bounds = room.bounds({});
    if (bounds.high < 0) {
      invalid("a window of " + window.reach(d).text() +
                  " elements is larger than the padded image, which has " + padded.text() +
                  " in dimension " + std::to_string(d),
              "check kernel_shape, dilations and pads against the size of the input");
    }
    if (bounds.low < 0) {
      context.require_equal(max(room, 0), room,
                            "what a padded image has beyond one window, in dimension " +
                                std::to_string(d) + ", must not be negative");
    }
    extents.push_back(floor_div(room, window.strides[d]) + 1);
  }
  return extents;
}

namespace {

const char* name_of_dimension(size_t d, size_t dimensions) {
  static constexpr const char* kNames[kMaxImageDims] = {"z", "y", "x"};
  return kNames[kMaxImageDims - dimensions + d];
}

// What a window sees of `extent` elements; nullopt where it is its own element alone, and there are
// as many: the dimensions are cut alike.
std::optional<layout::WindowUse> use_of(const Window& window, size_t d, const Dim& extent) {
  const int64_t stride = window.strides[d].constant();
  const int64_t size = window.reach(d).constant();
  if (stride == 1 && size == 1 && window.low[d].is(0) && window.outputs[d] == extent) {
    return std::nullopt;
  }
  return layout::WindowUse{
      .extent = extent, .stride = stride, .before = window.low[d], .size = size};
}

}  // namespace

void add_window_factors(layout::ShardingRule& rule, const Shape& x, const Window& window) {
  const size_t dimensions = x.size() - kImage;
  for (size_t d = 0; d < dimensions; ++d) {
    const uint32_t factor = rule.add_factor(name_of_dimension(d, dimensions), window.outputs[d]);
    layout::FactorUse use{.factor = factor};
    if (window.kernel[d].is_constant() && window.kernel[d].constant() > 0) {
      use.window = use_of(window, d, x[kImage + d]);
    } else {
      rule.factors[factor].kind = layout::Factor::Kind::kReplicate;
    }
    rule.inputs[0].push_back({use});
    rule.outputs[0].push_back(along(factor));
  }
}

std::optional<WindowShare> window_share(const LocalizeContext& context, const Window& window) {
  if (context.strategy.kind != layout::Strategy::Kind::kFactor) return std::nullopt;
  const layout::OperandFactors& operand = context.rule.inputs[0];
  for (size_t d = 0; kImage + d < operand.size(); ++d) {
    if (operand[kImage + d][0].factor != context.strategy.factor) continue;
    const layout::Cut& cut = context.strategy.cut;
    const layout::Cut& seen = context.placements.inputs[0].is_shard()
                                  ? context.placements.inputs[0].cut
                                  : cut;  // which every rank holds whole
    const layout::Piece held = seen.pieces(context.rank, context.ranks)[0];
    WindowShare share{.d = d,
                      .outputs = cut.local_extent(context.rank, context.ranks),
                      .low = window.low[d],
                      .begin = held.begin,
                      .extent = held.extent,
                      .has_a_halo = seen.windowed()};
    if (share.has_a_halo) {
      const layout::Piece outputs = cut.pieces(context.rank, context.ranks)[0];
      share.low = share.low - outputs.begin * window.strides[d] + held.begin;
    }
    return share;
  }
  return std::nullopt;
}

void WindowShare::set(Attributes& attributes) const {
  std::vector<Dim> all = attributes.dims("outputs");
  all[d] = outputs;
  attributes.set("outputs", all);
  all = attributes.dims("low");
  all[d] = low;
  attributes.set("low", all);
}

}  // namespace cleave::ops
