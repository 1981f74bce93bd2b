#include "cost/image_specs.h"

#include <algorithm>
#include <utility>

namespace cleave::cost {
namespace {

TensorType image(int64_t channels, int64_t side) {
  return {DType::kFloat32, {1, channels, side, side}};
}

// Windows of taps × taps, at each place or at every second one along both dimensions.
Attributes window(int64_t taps, int64_t side, int64_t stride = 1) {
  const Dim outputs = (side + stride - 1) / stride;
  return {{"strides", std::vector<Dim>{stride, stride}},
          {"dilations", std::vector<Dim>{1, 1}},
          {"low", std::vector<Dim>{taps / 2, taps / 2}},
          {"outputs", std::vector<Dim>{outputs, outputs}}};
}

KernelSpec convolution(int64_t channels, int64_t outputs, int64_t groups, int64_t taps,
                       int64_t side, Format format, int64_t stride = 1) {
  KernelSpec spec{
      .op = "conv", .attributes = window(taps, side, stride), .inputs = {}, .outputs = {}};
  spec.attributes.set("groups", Dim(groups));
  spec.inputs = {image(channels, side),
                 {DType::kFloat32, {outputs, channels / groups, taps, taps}}};
  spec.weight = true;
  spec.format = format;
  return spec;
}

KernelSpec pooling(const char* op, int64_t channels, int64_t side, Format format) {
  KernelSpec spec{.op = op, .attributes = window(3, side), .inputs = {}, .outputs = {}};
  spec.attributes.set("kernel", std::vector<Dim>{3, 3});
  spec.attributes.set("counted_low", std::vector<Dim>{0, 0});
  spec.attributes.set("counted_high", std::vector<Dim>{0, 0});
  spec.inputs = {image(channels, side)};
  spec.format = format;
  return spec;
}

// Twice as high and wide.
KernelSpec resizing(const char* mode, int64_t channels, int64_t side, Format format) {
  KernelSpec spec{.op = "resize", .attributes = {}, .inputs = {}, .outputs = {}};
  spec.attributes = {{"shape", std::vector<Dim>{1, channels, 2 * side, 2 * side}},
                     {"axes", std::vector<Dim>{2, 3}},
                     {"mode", mode}};
  spec.inputs = {image(channels, side)};
  spec.format = format;
  return spec;
}

// Its mean, but for a division: all places of a channel.
KernelSpec adding_up(int64_t channels, int64_t side, Format format) {
  KernelSpec spec{.op = "reduce_sum",
                  .attributes = {{"axes", std::vector<Dim>{2, 3}}},
                  .inputs = {image(channels, side)},
                  .outputs = {}};
  spec.format = format;
  return spec;
}

// No network has many channels on a large image.
bool is_usual(int64_t channels, int64_t side) { return side * side * channels <= 256 * 56 * 56; }

// Of 32 groups.
KernelSpec normalising(int64_t channels, int64_t side, Format format) {
  const TensorType of_channel = {DType::kFloat32, {channels}};
  KernelSpec spec{.op = "group_norm",
                  .attributes = {{"group_channels", Dim(channels / 32)}, {"epsilon", 1e-5}},
                  .inputs = {image(channels, side), of_channel, of_channel},
                  .outputs = {}};
  spec.format = format;
  return spec;
}

// Of two images, along their channels.
KernelSpec joining(int64_t channels, int64_t side, Format format) {
  KernelSpec spec{.op = "concat", .attributes = {{"axis", Dim(1)}}, .inputs = {}, .outputs = {}};
  spec.inputs = {image(channels, side), image(channels, side)};
  spec.format = format;
  return spec;
}

}  // namespace

std::vector<KernelSpec> image_specs() {
  std::vector<KernelSpec> specs;
  for (const Format format : kImageFormats) {
    // 24 columns do not fill vectors of 16, nor pairs of those.
    for (const int64_t outputs : {16, 24, 64, 256}) {
      for (const int64_t channels : {4, 16, 64, 256}) {
        for (const int64_t side : {7, 28, 56, 112}) {
          if (is_usual(channels, side)) {
            specs.push_back(convolution(channels, outputs, 1, 3, side, format));
          }
        }
      }
      for (const int64_t channels : {16, 64, 256}) {
        for (const int64_t side : {1, 7, 28, 112}) {
          if (is_usual(channels, side)) {
            specs.push_back(convolution(channels, outputs, 1, 1, side, format));
          }
        }
      }
    }
    for (const int64_t side : {7, 28, 112}) {
      for (const char* op : {"max_pool", "average_pool"}) {
        specs.push_back(pooling(op, 32, side, format));
      }
      for (const char* mode : {"nearest", "linear"}) {
        specs.push_back(resizing(mode, 32, side, format));
      }
      specs.push_back(joining(32, side, format));
      specs.push_back(normalising(128, side, format));
      if (format != Format::kRowMajor) specs.push_back(adding_up(64, side, format));
    }
    for (const int64_t side : {14, 28, 56, 112}) {
      specs.push_back(convolution(64, 64, 64, 3, side, format, 2));
      for (const int64_t taps : {3, 7}) {
        specs.push_back(convolution(64, 64, 64, taps, side, format));
      }
    }
  }
  return specs;
}

std::vector<KernelSpec> large_image_specs() {
  std::vector<KernelSpec> specs;
  for (const Format format : kImageFormats) {
    // What is missing of a grid of the channels of usual networks, up to those of U-Nets.
    for (const int64_t outputs : {64, 256, 512, 1280}) {
      for (const int64_t channels : {64, 256, 512, 1280}) {
        for (const int64_t taps : {1, 3}) {
          for (const int64_t side : {7, 28, 112}) {
            if (std::max(outputs, channels) <= 256 && is_usual(channels, side)) continue;
            if (side * side * std::min(outputs, channels) > 512 * 112 * 112) continue;
            specs.push_back(convolution(channels, outputs, 1, taps, side, format));
          }
        }
      }
    }
    specs.push_back(normalising(320, 128, format));
    struct Window {
      int64_t taps, channels;
    };
    for (const auto& [taps, channels] :
         {Window{13, 64}, {13, 256}, {31, 64}, {31, 256}, {51, 128}}) {
      for (const int64_t outputs : {64, 128, 256, 512}) {
        for (const int64_t side : {32, 64, 128}) {
          specs.push_back(convolution(channels, outputs, 1, taps, side, format));
        }
      }
    }
  }
  return specs;
}

}  // namespace cleave::cost
