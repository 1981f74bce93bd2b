// Format: the order in which the dimensions of a tensor lie in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "types/dim.h"

namespace cleave {

// Without gaps in each: row-major has the last dimension innermost; channels-last has dimension 1
// innermost and the others as in row-major, for example N, H, W, C in memory of a tensor
// [n, c, h, w]; heads-inside has dimensions 1 and 2 of four exchanged, for example B, S, H, D in
// memory of heads [b, h, s, d], so that all heads of a position lie one behind the other. With
// fewer than three dimensions all are one, and with any but four heads-inside is row-major.
enum class Format : uint8_t { kRowMajor, kChannelsLast, kHeadsInside };

inline constexpr Format kFormats[] = {Format::kRowMajor, Format::kChannelsLast,
                                      Format::kHeadsInside};
// Those that kernels of images work in, and are measured in.
inline constexpr Format kImageFormats[] = {Format::kRowMajor, Format::kChannelsLast};
constexpr bool is_image_format(Format format) {
  return std::ranges::find(kImageFormats, format) != std::end(kImageFormats);
}

std::string_view name_of(Format format);  // "row_major", "channels_last", "heads_inside"
std::optional<Format> parse_format(std::string_view name);
// The dimensions, outermost first.
std::vector<size_t> memory_order(Format format, size_t rank);
std::vector<Dim> dense_strides(Format format, std::span<const Dim> shape);
std::vector<int64_t> dense_strides(Format format, std::span<const int64_t> shape);
// Whether strides are those of the format; dimensions of size 1 may have any, empty tensors too.
bool has_format(Format format, std::span<const int64_t> shape, std::span<const int64_t> strides);

}  // namespace cleave
