#include "fill.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include "base/hash.h"
#include "cleave/error.h"
#include "types/host_tensor.h"

namespace cleave::cli {
namespace {

[[noreturn]] void bad_fill(std::string_view text) {
  throw Error(ErrorCode::kUsage, fmt::format("--fill: '{}' is no rule", text),
              "write NAME=zeros, ones, iota, uniform:LO:HI or randint:LO:HI");
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// "LO:HI"
bool parse_range(std::string_view text, Fill& fill) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const auto low = parse_number(text.substr(0, colon));
  const auto high = parse_number(text.substr(colon + 1));
  if (!low || !high || *low >= *high) return false;
  fill.low = *low;
  fill.high = *high;
  return true;
}

// The same numbers everywhere: the standard fixes the engine, though not the distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  double uniform(double low, double high) { return low + unit() * (high - low); }

 private:
  std::mt19937_64 engine_;
};

template <class T>
constexpr bool kIsFloating = !std::numeric_limits<T>::is_integer;

// A value as the element type: what lies beyond an integer type's range becomes its end.
template <class T>
T convert(double value) {
  if constexpr (kIsFloating<T>) {
    return static_cast<T>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else {
    const double whole = std::floor(value);
    if (whole <= static_cast<double>(std::numeric_limits<T>::min())) {
      return std::numeric_limits<T>::min();
    }
    if (whole >= static_cast<double>(std::numeric_limits<T>::max())) {
      return std::numeric_limits<T>::max();
    }
    return static_cast<T>(whole);
  }
}

template <class T>
void fill_elements(const Fill& fill, std::span<T> values, int64_t row, Random& random) {
  for (size_t i = 0; i < values.size(); ++i) {
    const bool leads_row = row > 0 && static_cast<int64_t>(i) % row == 0;
    double value = 0;
    switch (fill.kind) {
      case Fill::Kind::kZeros:
        break;
      case Fill::Kind::kOnes:
        value = 1;
        break;
      case Fill::Kind::kIota:
        value = static_cast<double>(i);
        break;
      case Fill::Kind::kUniform:
        value = random.uniform(fill.low, fill.high);
        break;
      case Fill::Kind::kRandomIntegers:
        value = std::floor(random.uniform(std::ceil(fill.low), std::ceil(fill.high)));
        break;
      case Fill::Kind::kNoise:
        value = random.unit();
        value = kIsFloating<T> ? 2 * value - 1 : static_cast<double>(leads_row || value < 0.5);
        break;
    }
    values[i] = convert<T>(value);
  }
}

}  // namespace

Fill Fill::parse(std::string_view text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0) bad_fill(text);
  Fill fill;
  fill.name = text.substr(0, equals);
  const std::string_view rule = text.substr(equals + 1);
  if (rule == "zeros") {
    fill.kind = Kind::kZeros;
  } else if (rule == "ones") {
    fill.kind = Kind::kOnes;
  } else if (rule == "iota") {
    fill.kind = Kind::kIota;
  } else if (rule.starts_with("uniform:") && parse_range(rule.substr(8), fill)) {
    fill.kind = Kind::kUniform;
  } else if (rule.starts_with("randint:") && parse_range(rule.substr(8), fill)) {
    fill.kind = Kind::kRandomIntegers;
  } else {
    bad_fill(text);
  }
  return fill;
}

Tensor filled(const Fill& fill, DType dtype, std::vector<int64_t> shape, uint64_t seed) {
  const int64_t row = shape.empty() ? 1 : shape.back();
  Tensor tensor = Tensor::uninitialized(dtype, std::move(shape));
  Random random(hash_combine(seed, hash_bytes(fill.name)));
  dispatch_dtype(dtype, [&]<class T>() {
    fill_elements<T>(fill,
                     {reinterpret_cast<T*>(tensor.mutable_data()), tensor.bytes() / sizeof(T)}, row,
                     random);
  });
  return tensor;
}

}  // namespace cleave::cli
