#include "types/cut.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/check.h"

namespace cleave::layout {
namespace {

Dim grains_of(const Segment& segment) {
  const auto grains = exact_div(segment.extent, segment.grain);
  CLEAVE_CHECK(grains.has_value(), "a segment of " + segment.extent.text() +
                                       " has no whole number of grains of " + segment.grain.text());
  return *grains;
}

// The grains [first, last) that `rank` holds.
Piece grains_held(const Segment& segment, const Dim& rank, int64_t ranks) {
  const Dim units = grains_of(segment) * segment.group;
  const Dim first = floor_div(rank * units, ranks);
  const Dim last = floor_div((rank + 1) * units, ranks);
  if (segment.group == 1) return {first, last - first};
  const Dim begin = floor_div(first, segment.group);
  // A rank without units holds nothing, though its border lies inside a grain.
  const Dim any = min(last - first, 1);
  return {begin, any * (ceil_div(last, segment.group) - begin)};
}

}  // namespace

Dim Cut::extent() const {
  Dim sum;
  for (const Segment& segment : segments) sum += segment.extent;
  return sum;
}

std::vector<Piece> Cut::pieces(const Dim& rank, int64_t ranks) const {
  std::vector<Piece> result;
  Dim base;
  for (const Segment& segment : segments) {
    const Piece held = grains_held(segment, rank, ranks);
    result.push_back({base + held.begin * segment.grain, held.extent * segment.grain});
    base += segment.extent;
  }
  return result;
}

Dim Cut::local_extent(const Dim& rank, int64_t ranks) const {
  Dim sum;
  for (const Piece& piece : pieces(rank, ranks)) sum += piece.extent;
  return sum;
}

Dim Cut::largest_share(int64_t ranks) const {
  const bool constant = std::all_of(segments.begin(), segments.end(), [](const Segment& s) {
    return s.extent.is_constant() && s.grain.is_constant();
  });
  if (constant) {
    Dim largest;
    for (int64_t r = 0; r < ranks; ++r) largest = max(largest, local_extent(r, ranks));
    return largest;
  }
  Dim sum;
  for (const Segment& segment : segments) {
    const Dim units = ceil_div(grains_of(segment) * segment.group, ranks);
    // u units touch at most ⌈(u - 1) / group⌉ + 1 grains.
    sum += (segment.group == 1 ? units : ceil_div(units - 1, segment.group) + 1) * segment.grain;
  }
  return sum;
}

bool Cut::shared() const {
  return std::any_of(segments.begin(), segments.end(),
                     [](const Segment& s) { return s.group != 1; });
}

bool Cut::whole_on_all(int64_t ranks) const {
  return !segments.empty() && std::all_of(segments.begin(), segments.end(), [&](const Segment& s) {
    return s.extent == s.grain && s.group >= ranks;
  });
}

Cut Cut::scaled(const Dim& factor) const {
  Cut result = *this;
  for (Segment& segment : result.segments) {
    segment.extent *= factor;
    segment.grain *= factor;
  }
  return result;
}

std::optional<Cut> Cut::divided(const Dim& factor) const {
  Cut result = *this;
  for (Segment& segment : result.segments) {
    const auto extent = exact_div(segment.extent, factor);
    const auto grain = exact_div(segment.grain, factor);
    if (!extent || !grain) return std::nullopt;
    segment.extent = *extent;
    segment.grain = *grain;
  }
  return result;
}

std::optional<Cut> Cut::part(const Dim& begin, const Dim& extent) const {
  Cut result;
  Dim at;
  const Dim end = begin + extent;
  bool inside = false;
  for (const Segment& segment : segments) {
    if (at == begin) inside = true;
    if (at == end) break;
    if (inside) result.segments.push_back(segment);
    at += segment.extent;
  }
  if (!inside || result.segments.empty() || result.extent() != extent) return std::nullopt;
  return result;
}

void Cut::validate(int64_t extent) const {
  int64_t sum = 0;
  for (const Segment& segment : segments) {
    const int64_t size = segment.extent.constant();
    const int64_t grain = segment.grain.constant();
    if (size < 0 || grain < 1 || segment.group < 1 || size % grain != 0) {
      throw Error(ErrorCode::kInvalid, "a cut's segment has no whole number of grains",
                  "build the engine again");
    }
    sum = checked_add(sum, size);
  }
  if (sum != extent) {
    throw Error(ErrorCode::kInvalid, "a cut has not the extent of its dimension",
                "build the engine again");
  }
}

Cut Cut::evaluated(const SymbolValues& values) const {
  Cut result = *this;
  for (Segment& segment : result.segments) {
    segment.extent = segment.extent.evaluate(values);
    segment.grain = segment.grain.evaluate(values);
  }
  return result;
}

Cut Cut::concat(const std::vector<Cut>& parts) {
  Cut result;
  for (const Cut& part : parts) {
    result.segments.insert(result.segments.end(), part.segments.begin(), part.segments.end());
  }
  return result;
}

Cut Cut::repeated(int64_t times) const {
  return concat(std::vector<Cut>(static_cast<size_t>(times), *this));
}

std::optional<Cut> Cut::period(int64_t times) const {
  const auto count = static_cast<int64_t>(segments.size());
  if (times < 1 || count == 0 || count % times != 0) return std::nullopt;
  Cut result;
  result.segments.assign(segments.begin(), segments.begin() + count / times);
  if (result.repeated(times) != *this) return std::nullopt;
  return result;
}

std::vector<Dim> Cut::units() const {
  std::vector<Dim> result;
  for (const Segment& segment : segments) result.push_back(grains_of(segment) * segment.group);
  return result;
}

namespace {

// In parentheses where a reader could not tell where the expression ends: symbols may hold '/' and
// 'x'.
std::string enclosed(const Dim& dim, bool simple) {
  const std::string text = dim.text();
  return simple ? text : "(" + text + ")";
}

// The position of the first `mark` outside of parentheses; npos where there is none.
size_t find_outside(std::string_view text, char mark) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (depth == 0 && text[i] == mark) return i;
  }
  return std::string_view::npos;
}

[[noreturn]] void not_a_cut(std::string_view text) {
  throw Error(ErrorCode::kInvalid, "not a cut: '" + std::string(text) + "'");
}

Segment parse_segment(std::string_view item) {
  const size_t slash = find_outside(item, '/');
  if (slash == std::string_view::npos) not_a_cut(item);
  Segment segment;
  segment.extent = Dim::parse(item.substr(0, slash));
  std::string_view grain = item.substr(slash + 1);
  const size_t times = find_outside(grain, 'x');
  // A grain is a number or in parentheses where a group follows.
  if (times != std::string_view::npos && times > 0 &&
      (grain[0] == '(' || std::isdigit(static_cast<unsigned char>(grain[0])))) {
    const std::string_view digits = grain.substr(times + 1);
    const auto parsed =
        std::from_chars(digits.data(), digits.data() + digits.size(), segment.group);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() ||
        segment.group < 1) {
      not_a_cut(item);
    }
    grain = grain.substr(0, times);
  }
  segment.grain = Dim::parse(grain);
  return segment;
}

}  // namespace

std::string Cut::text() const {
  std::string out;
  for (const Segment& segment : segments) {
    if (!out.empty()) out += " | ";
    out += enclosed(segment.extent, segment.extent.text().find('/') == std::string::npos);
    out += "/" + enclosed(segment.grain, segment.grain.is_constant());
    if (segment.group != 1) out += "x" + std::to_string(segment.group);
  }
  return out;
}

Cut Cut::parse(std::string_view text) {
  Cut result;
  while (!text.empty()) {
    const size_t bar = text.find('|');
    std::string_view item = text.substr(0, bar);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    result.segments.push_back(parse_segment(item));
    if (bar == std::string_view::npos) break;
    text = text.substr(bar + 1);
    if (text.empty()) not_a_cut(item);
  }
  return result;
}

void Cut::to_attributes(Attributes& attributes, std::string_view prefix) const {
  std::vector<Dim> extents;
  std::vector<Dim> grains;
  std::vector<Dim> groups;
  for (const Segment& segment : segments) {
    extents.push_back(segment.extent);
    grains.push_back(segment.grain);
    groups.push_back(segment.group);
  }
  const std::string name(prefix);
  attributes.set(name + "extent", extents);
  attributes.set(name + "grain", grains);
  attributes.set(name + "group", groups);
}

Cut Cut::from_attributes(const Attributes& attributes, std::string_view prefix) {
  const std::string name(prefix);
  const std::vector<Dim>& extents = attributes.dims(name + "extent");
  const std::vector<Dim>& grains = attributes.dims(name + "grain");
  const std::vector<int64_t> groups = attributes.integers(name + "group");
  if (extents.size() != grains.size() || extents.size() != groups.size()) {
    throw Error(ErrorCode::kInvalid, "the lists of a cut have different lengths");
  }
  Cut result;
  for (size_t i = 0; i < extents.size(); ++i) {
    if (groups[i] < 1) throw Error(ErrorCode::kInvalid, "a cut's group must be positive");
    result.segments.push_back({extents[i], grains[i], groups[i]});
  }
  return result;
}

}  // namespace cleave::layout
