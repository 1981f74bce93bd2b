#include "types/cut.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/check.h"

namespace cleave::layout {
namespace {

// What is dealt out in grains.
const Dim& dealt_of(const Segment& segment) {
  return segment.window ? segment.window->outputs : segment.extent;
}

Dim grains_of(const Segment& segment) {
  const auto grains = exact_div(dealt_of(segment), segment.grain);
  CLEAVE_CHECK(grains.has_value(), "a segment of " + dealt_of(segment).text() +
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

// The elements that the outputs [first, first + count) see.
Piece seen(const Segment& segment, const Dim& first, const Dim& count) {
  const Window& window = *segment.window;
  const auto inside = [&](const Dim& at) { return max(min(at, segment.extent), 0); };
  const auto seen_by = [&](const Dim& output) {
    return floor_div(output * window.stride - window.before, window.divisor);
  };
  const Dim begin = inside(seen_by(first));
  const Dim end = inside(seen_by(first + count - 1) + window.size);
  // A rank without outputs holds nothing.
  return {begin, min(count, 1) * max(end - begin, 0)};
}

// The elements that `rank` holds, counted from the segment's begin.
Piece elements_held(const Segment& segment, const Dim& rank, int64_t ranks) {
  const Piece grains = grains_held(segment, rank, ranks);
  const Piece held = {grains.begin * segment.grain, grains.extent * segment.grain};
  return segment.window ? seen(segment, held.begin, held.extent) : held;
}

// At most so many elements, of any rank.
Dim most_held(const Segment& segment, int64_t ranks) {
  const Dim units = ceil_div(grains_of(segment) * segment.group, ranks);
  if (segment.window) {
    const Window& window = *segment.window;
    const Dim steps = (units * segment.grain - 1) * window.stride;
    return min(segment.extent, max(ceil_div(steps, window.divisor) + window.size, 0));
  }
  // u units touch at most ⌈(u - 1) / group⌉ + 1 grains.
  const Dim grains = segment.group == 1 ? units : ceil_div(units - 1, segment.group) + 1;
  return grains * segment.grain;
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
    const Piece held = elements_held(segment, rank, ranks);
    result.push_back({base + held.begin, held.extent});
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
    return s.extent.is_constant() && s.grain.is_constant() &&
           (!s.window || (s.window->outputs.is_constant() && s.window->before.is_constant()));
  });
  if (constant) {
    Dim largest;
    for (int64_t r = 0; r < ranks; ++r) largest = max(largest, local_extent(r, ranks));
    return largest;
  }
  Dim sum;
  for (const Segment& segment : segments) sum += most_held(segment, ranks);
  return sum;
}

bool Cut::shared() const {
  return std::any_of(segments.begin(), segments.end(),
                     [](const Segment& s) { return s.group != 1 || s.window; });
}

bool Cut::windowed() const {
  return std::any_of(segments.begin(), segments.end(),
                     [](const Segment& s) { return s.window.has_value(); });
}

bool Cut::whole_on_all(int64_t ranks) const {
  return !segments.empty() && std::all_of(segments.begin(), segments.end(), [&](const Segment& s) {
    return !s.window && s.extent == s.grain && s.group >= ranks;
  });
}

Cut Cut::scaled(const Dim& factor) const {
  CLEAVE_CHECK(!windowed() || factor.is(1), "a window's elements are not those of minor factors");
  Cut result = *this;
  for (Segment& segment : result.segments) {
    segment.extent *= factor;
    segment.grain *= factor;
  }
  return result;
}

std::optional<Cut> Cut::divided(const Dim& factor) const {
  if (windowed() && !factor.is(1)) return std::nullopt;
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

namespace {

// No element that a window sees is so far away that its number overflows.
void validate_window(const Segment& segment) {
  constexpr int64_t kFar = int64_t{1} << 60;
  const Window& window = *segment.window;
  const int64_t before = window.before.constant();
  if (segment.group != 1 || window.stride < 1 || window.size < 1 || window.size > kFar ||
      window.divisor < 1 || window.divisor > kFar || before < -kFar || before > kFar ||
      checked_mul(window.outputs.constant(), window.stride) > kFar) {
    throw Error(ErrorCode::kInvalid, "a cut's window is impossible", "build the engine again");
  }
}

}  // namespace

void Cut::validate(int64_t extent) const {
  int64_t sum = 0;
  for (const Segment& segment : segments) {
    const int64_t size = segment.extent.constant();
    const int64_t grain = segment.grain.constant();
    const int64_t dealt = dealt_of(segment).constant();
    if (size < 0 || grain < 1 || segment.group < 1 || dealt < 0 || dealt % grain != 0) {
      throw Error(ErrorCode::kInvalid, "a cut's segment has no whole number of grains",
                  "build the engine again");
    }
    if (segment.window) validate_window(segment);
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
    if (!segment.window) continue;
    segment.window->outputs = segment.window->outputs.evaluate(values);
    segment.window->before = segment.window->before.evaluate(values);
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

int64_t parse_integer(std::string_view text) {
  const Dim number = Dim::parse(text);
  if (!number.is_constant()) not_a_cut(text);
  return number.constant();
}

// What stands between the parentheses: size, stride, before, outputs, and a divisor or none.
Window parse_window(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t comma; (comma = find_outside(text, ',')) != std::string_view::npos;) {
    parts.push_back(text.substr(0, comma));
    text = text.substr(comma + 1);
  }
  parts.push_back(text);
  if (parts.size() != 4 && parts.size() != 5) not_a_cut(text);
  return {.outputs = Dim::parse(parts[3]),
          .stride = parse_integer(parts[1]),
          .before = Dim::parse(parts[2]),
          .size = parse_integer(parts[0]),
          .divisor = parts.size() == 5 ? parse_integer(parts[4]) : 1};
}

Segment parse_segment(std::string_view item) {
  static constexpr std::string_view kWindow = " window(";
  const size_t window = item.find(kWindow);
  if (window != std::string_view::npos) {
    if (!item.ends_with(')')) not_a_cut(item);
    Segment segment = parse_segment(item.substr(0, window));
    item.remove_prefix(window + kWindow.size());
    item.remove_suffix(1);
    segment.window = parse_window(item);
    return segment;
  }
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
    if (!segment.window) continue;
    out += " window(" + std::to_string(segment.window->size) + ", " +
           std::to_string(segment.window->stride) + ", " + segment.window->before.text() + ", " +
           segment.window->outputs.text();
    if (segment.window->divisor != 1) out += ", " + std::to_string(segment.window->divisor);
    out += ")";
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
  if (!windowed()) return;
  std::vector<Dim> windows;
  for (const Segment& segment : segments) {
    const Window window = segment.window.value_or(Window{.size = 0});
    windows.insert(windows.end(),
                   {window.size, window.stride, window.before, window.outputs, window.divisor});
  }
  attributes.set(name + "window", windows);
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
  if (!attributes.has(name + "window")) return result;
  const std::vector<Dim>& windows = attributes.dims(name + "window");
  if (windows.size() != 5 * extents.size()) {
    throw Error(ErrorCode::kInvalid, "the lists of a cut have different lengths");
  }
  for (size_t i = 0; i < extents.size(); ++i) {
    const Dim* window = &windows[5 * i];
    if (!window[0].is_constant() || !window[1].is_constant() || !window[4].is_constant()) {
      throw Error(ErrorCode::kInvalid, "a cut's window has no constant size and steps");
    }
    if (window[0].is(0)) continue;
    result.segments[i].window = Window{.outputs = window[3],
                                       .stride = window[1].constant(),
                                       .before = window[2],
                                       .size = window[0].constant(),
                                       .divisor = window[4].constant()};
  }
  return result;
}

}  // namespace cleave::layout
