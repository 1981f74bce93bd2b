#include "types/format.h"

#include <algorithm>
#include <numeric>

namespace cleave {
namespace {

template <class Extent>
std::vector<Extent> strides_of(Format format, std::span<const Extent> shape) {
  std::vector<Extent> strides(shape.size(), Extent(1));
  const std::vector<size_t> order = memory_order(format, shape.size());
  for (size_t i = order.size(); i-- > 1;) {
    strides[order[i - 1]] = strides[order[i]] * shape[order[i]];
  }
  return strides;
}

}  // namespace

std::string_view name_of(Format format) {
  switch (format) {
    case Format::kChannelsLast:
      return "channels_last";
    case Format::kHeadsInside:
      return "heads_inside";
    case Format::kRowMajor:
      break;
  }
  return "row_major";
}

std::optional<Format> parse_format(std::string_view name) {
  for (const Format format : kFormats) {
    if (name == name_of(format)) return format;
  }
  return std::nullopt;
}

std::vector<size_t> memory_order(Format format, size_t rank) {
  std::vector<size_t> order(rank);
  std::iota(order.begin(), order.end(), size_t{0});
  if (format == Format::kChannelsLast && rank > 2) {
    std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  }
  if (format == Format::kHeadsInside && rank == 4) std::swap(order[1], order[2]);
  return order;
}

std::vector<Dim> dense_strides(Format format, std::span<const Dim> shape) {
  return strides_of(format, shape);
}

std::vector<int64_t> dense_strides(Format format, std::span<const int64_t> shape) {
  return strides_of(format, shape);
}

bool has_format(Format format, std::span<const int64_t> shape, std::span<const int64_t> strides) {
  const std::vector<int64_t> dense = dense_strides(format, shape);
  bool same = true;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0) return true;
    same = same && (shape[d] == 1 || strides[d] == dense[d]);
  }
  return same;
}

}  // namespace cleave
