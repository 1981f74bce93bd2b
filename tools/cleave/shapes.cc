#include "shapes.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "cleave/error.h"
#include "text.h"

namespace cleave::cli {
namespace {

// Larger extents are mistakes, and would only overflow later.
constexpr int64_t kLargestExtent = int64_t{1} << 40;

std::optional<int64_t> parse_extent(std::string_view text) {
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < 0 || value > kLargestExtent) return std::nullopt;
  return value;
}

// "1x128"; empty for a scalar.
std::optional<std::vector<int64_t>> parse_extents(std::string_view text) {
  std::vector<int64_t> extents;
  if (text.empty()) return extents;
  for (;;) {
    const size_t cross = text.find('x');
    const auto extent = parse_extent(text.substr(0, cross));
    if (!extent) return std::nullopt;
    extents.push_back(*extent);
    if (cross == std::string_view::npos) return extents;
    text = text.substr(cross + 1);
  }
}

[[noreturn]] void bad_value(std::string_view option, std::string_view text, const std::string& what,
                            const std::string& example) {
  throw Error(ErrorCode::kUsage, fmt::format("{}: '{}' {}", option, text, what),
              fmt::format("write for example {}={}", option, example));
}

}  // namespace

NamedShapes parse_shapes(std::string_view option, std::string_view text) {
  NamedShapes shapes;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    const size_t colon = item.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
      bad_value(option, item, "is not NAME:SIZES", "x:1x128");
    }
    const auto extents = parse_extents(item.substr(colon + 1));
    if (!extents) bad_value(option, item.substr(colon + 1), "is not a shape", "x:1x128");
    std::string name(item.substr(0, colon));
    if (find_shape(shapes, name) != nullptr) bad_value(option, name, "comes twice", "x:1x128");
    shapes.emplace_back(std::move(name), *extents);
    if (comma == std::string_view::npos) return shapes;
    rest = rest.substr(comma + 1);
  }
}

std::string shapes_text(const NamedShapes& shapes) {
  std::string text;
  for (const auto& [name, shape] : shapes) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", name, fmt::join(shape, "x"));
  }
  return text;
}

const std::vector<int64_t>* find_shape(const NamedShapes& shapes, std::string_view name) {
  for (const NamedShape& shape : shapes) {
    if (shape.first == name) return &shape.second;
  }
  return nullptr;
}

int64_t parse_bytes(std::string_view option, std::string_view text) {
  static const std::map<std::string_view, double> kUnits = {
      {"", 1},         {"B", 1},    {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30},
      {"TiB", 0x1p40}, {"KB", 1e3}, {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12}};
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const auto factor = kUnits.find(unit);
  if (failed != std::errc() || factor == kUnits.end() || !std::isfinite(value) || value <= 0 ||
      value * factor->second < 1 || value * factor->second > 0x1p62) {
    bad_value(option, text, "is not an amount of memory", "16GiB");
  }
  return static_cast<int64_t>(value * factor->second);
}

void check_mesh(std::string_view text, size_t devices) {
  const auto axes = parse_extents(text);
  int64_t product = 1;
  for (const int64_t extent : axes.value_or(std::vector<int64_t>{0})) {
    product = extent == 0 || product > kLargestExtent / extent ? 0 : product * extent;
  }
  if (text.empty() || product != static_cast<int64_t>(devices)) {
    throw Error(ErrorCode::kUsage,
                fmt::format("the mesh '{}' does not arrange {} device(s)", text, devices),
                fmt::format("write --mesh={}, or give as many --devices", devices));
  }
  if (axes->size() > 1) {
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("the mesh {} has {} axes; this version plans for one", text, axes->size()),
        fmt::format("leave --mesh out, or write --mesh={}", devices));
  }
}

}  // namespace cleave::cli
