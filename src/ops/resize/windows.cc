// Element u of the result lies at (u · stride − before) / divisor elements of the operand. These
// are integers, so that what a rank needs is known exactly; the kernels compute positions in
// double, and where those may differ a window is an element wider.
#include "ops/resize/windows.h"

#include <cmath>
#include <numeric>

#include "types/resize_taps.h"

namespace cleave::ops {
namespace {

using layout::WindowUse;

// out : in, without common divisors.
struct Ratio {
  int64_t out;
  int64_t in;
  bool is_rounded = false;  // the scale is its float32: positions are off by less than an element
};

std::optional<Ratio> reduced(int64_t out, int64_t in) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (out < 1 || in < 1 || out > kMost || in > kMost) return std::nullopt;
  const int64_t common = std::gcd(out, in);
  return Ratio{out / common, in / common};
}

std::optional<Ratio> ratio_of_sizes(const Dim& in, const Dim& out) {
  if (in.is_constant() && out.is_constant()) return reduced(out.constant(), in.constant());
  const auto is_number = [](const std::optional<Dim>& dim) { return dim && dim->is_constant(); };
  if (const auto longer = exact_div(out, in); is_number(longer)) {
    return reduced(longer->constant(), 1);
  }
  if (const auto shorter = exact_div(in, out); is_number(shorter)) {
    return reduced(1, shorter->constant());
  }
  return std::nullopt;
}

// A scale that is a quotient, as exactly as float32 has it.
std::optional<Ratio> ratio_of_scale(double scale, const Dim& extent) {
  constexpr int64_t kMostDivided = 64;
  constexpr double kMost = 1 << 20;
  // Here a position is off by 2^20 · 2^-24 at most.
  const bool is_short = extent.bounds({}).high <= int64_t{1} << 20;
  for (int64_t in = 1; in <= kMostDivided; ++in) {
    const double exact = scale * static_cast<double>(in);
    const double out = std::round(exact);
    const double quotient = out / static_cast<double>(in);
    if (out < 1 || out > kMost || static_cast<float>(quotient) != static_cast<float>(scale))
      continue;
    const bool is_rounded = out != exact;
    if (is_rounded && !is_short) return std::nullopt;
    std::optional<Ratio> ratio = reduced(static_cast<int64_t>(out), in);
    if (ratio) ratio->is_rounded = is_rounded;
    return ratio;
  }
  return std::nullopt;
}

// Whether the result is at most as long as the operand is by the ratio: no position lies behind the
// last element by one or more.
bool is_inside(const Ratio& ratio, const Dim& in, const Dim& out) {
  return (in * ratio.out - out * ratio.in).bounds({}).low >= 0 ||
         out == floor_div(in * ratio.out, ratio.in);
}

// Where element u of the result lies: (u · stride − before) / divisor.
struct Position {
  int64_t stride;
  int64_t before;
  int64_t divisor;
  bool is_exact;  // in double too, where it is a whole number

  // Where the largest whole number up to it lies for element `u`.
  Dim floor(const Dim& u) const { return floor_div(u * stride - before, divisor); }
};

std::optional<Position> position_of(const std::string& coordinates, const Ratio& ratio,
                                    const Dim& in, const Dim& out) {
  const auto p = ratio.out;
  const auto q = ratio.in;
  // A quotient that is a whole number is exact in double where the scale is.
  const bool is_exact = (q & (q - 1)) == 0;
  const Position half_pixel{2 * q, p - q, 2 * p, is_exact};
  const bool is_whole = in * p == out * q;  // scale · in is the number of elements
  if (coordinates == "half_pixel") return half_pixel;
  if (coordinates == "asymmetric") return Position{q, 0, p, is_exact};
  if (coordinates == "tf_half_pixel_for_nn") return Position{2 * q, -q, 2 * p, is_exact};
  if (coordinates == "pytorch_half_pixel" && out.bounds({}).low >= 2) return half_pixel;
  if (coordinates == "half_pixel_symmetric" && is_whole) return half_pixel;
  if (coordinates == "align_corners" && is_whole && in.is_constant() && out.is_constant()) {
    const auto corners = reduced(out.constant() - 1, in.constant() - 1);
    if (corners) return Position{corners->in, 0, corners->out, true};
  }
  return std::nullopt;
}

// Of the position that is rounded by taking the floor of it.
Position rounded(const Position& at, const std::string& rounding) {
  const auto& [stride, before, divisor, is_exact] = at;
  if (rounding == "floor") return at;
  if (rounding == "ceil") return {stride, before - divisor + 1, divisor, is_exact};
  const int64_t half = rounding == "round_prefer_ceil" ? divisor : divisor - 1;
  return {2 * stride, 2 * before - half, 2 * divisor, is_exact};
}

void widen(WindowUse& use, bool before, bool behind) {
  use.before += before ? use.divisor : 0;
  use.size += (before ? 1 : 0) + (behind ? 1 : 0);
}

WindowUse nearest_window(const Position& at, const Dim& in, const Dim& out, bool is_told) {
  WindowUse use{in, at.stride, at.before, 1, at.divisor};
  // Positions next to a half are rounded as it is.
  if (!is_told) {
    widen(use, true, true);
    return use;
  }
  // What lies outside is the element at the border.
  const bool begins_outside = at.floor(0).constant() < 0;
  const bool ends_outside = (in - 1 - at.floor(out - 1)).bounds({}).low < 0;
  widen(use, ends_outside, begins_outside);
  return use;
}

WindowUse interpolation_window(const Attributes& attributes, const Position& at, const Dim& in,
                               double scale) {
  const int64_t first = first_resize_tap(attributes, scale);
  // A position may come out as less than the whole number that it is.
  const int64_t slack = at.is_exact ? 0 : 1;
  return {in, at.stride, at.before - first * at.divisor + slack, 2 - 2 * first + slack, at.divisor};
}

}  // namespace

ResizeSplit resize_split(const Attributes& attributes, size_t i, const Dim& in, const Dim& out) {
  const bool has_scale = attributes.has("scales");
  const auto ratio =
      has_scale ? ratio_of_scale(attributes.reals("scales").at(i), in) : ratio_of_sizes(in, out);
  if (!ratio || !is_inside(*ratio, in, out)) return {};
  const auto at = position_of(attributes.string("coordinates", "half_pixel"), *ratio, in, out);
  if (!at) return {};
  if (attributes.string("mode", "nearest") != "nearest") {
    const double scale = has_scale
                             ? attributes.reals("scales").at(i)
                             : static_cast<double>(ratio->out) / static_cast<double>(ratio->in);
    WindowUse use = interpolation_window(attributes, *at, in, scale);
    widen(use, ratio->is_rounded, ratio->is_rounded);
    return {.copies = {}, .window = use};
  }
  const Position nearest = rounded(*at, attributes.string("rounding", "round_prefer_floor"));
  const bool is_told = at->divisor <= kMostExactSteps && !ratio->is_rounded;
  // The first elements are copies of the first one, and so on.
  const bool copies = is_told && ratio->in == 1 && out == in * ratio->out &&
                      nearest.divisor == nearest.stride * ratio->out && nearest.floor(0).is(0) &&
                      nearest.floor(ratio->out - 1).is(0);
  if (copies) return {.copies = ratio->out, .window = {}};
  return {.copies = {}, .window = nearest_window(nearest, in, out, is_told)};
}

}  // namespace cleave::ops
