#include "cost/image_specs.h"

#include <utility>

namespace cleave::cost {
namespace {

TensorType image(int64_t channels, int64_t side) {
  return {DType::kFloat32, {1, channels, side, side}};
}

// Windows of taps × taps that leave the image as large as it is.
Attributes window(int64_t taps, int64_t side) {
  const std::vector<Dim> ones = {1, 1};
  return {{"strides", ones},
          {"dilations", ones},
          {"low", std::vector<Dim>{taps / 2, taps / 2}},
          {"outputs", std::vector<Dim>{side, side}}};
}

KernelSpec convolution(int64_t channels, int64_t outputs, int64_t groups, int64_t taps,
                       int64_t side, Format format) {
  KernelSpec spec{.op = "conv", .attributes = window(taps, side), .inputs = {}, .outputs = {}};
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
  for (const Format format : kFormats) {
    for (const int64_t outputs : {16, 64, 256}) {
      for (const int64_t channels : {4, 16, 64, 256}) {
        for (const int64_t side : {7, 28, 56, 112}) {
          // What no network has: many channels on a large image.
          if (side * side * channels > 256 * 56 * 56) continue;
          specs.push_back(convolution(channels, outputs, 1, 3, side, format));
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
    }
    for (const int64_t taps : {3, 7}) {
      for (const int64_t side : {7, 28, 56, 112}) {
        specs.push_back(convolution(64, 64, 64, taps, side, format));
      }
    }
  }
  return specs;
}

}  // namespace cleave::cost
