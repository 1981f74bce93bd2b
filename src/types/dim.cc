#include "types/dim.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace cleave {

struct Dim::Function {
  Kind kind;
  Dim a;
  Dim b;
};

namespace {

constexpr int64_t kDefaultHigh = int64_t{1} << 40;

[[noreturn]] void overflow() {
  throw Error(ErrorCode::kInvalid, "a size overflows 64 bits", "check the model's shapes");
}

int64_t saturate(__int128 value) {
  constexpr __int128 kMax = INT64_MAX;
  return static_cast<int64_t>(std::clamp<__int128>(value, -kMax, kMax));
}

}  // namespace

int64_t checked_add(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) overflow();
  return result;
}

int64_t checked_mul(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) overflow();
  return result;
}

int64_t floor_div(int64_t a, int64_t b) {
  if (b == 0) throw Error(ErrorCode::kInvalid, "a size is divided by zero");
  if (b == -1) return checked_mul(a, -1);
  const int64_t quotient = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? quotient - 1 : quotient;
}

int64_t ceil_div(int64_t a, int64_t b) { return checked_mul(-1, floor_div(checked_mul(a, -1), b)); }

Dim::Dim(int64_t value) {
  if (value != 0) terms_.push_back({value, {}});
}

Dim Dim::symbol(std::string_view name) {
  Dim result;
  result.terms_.push_back({1, {Atom{std::string(name), nullptr}}});
  return result;
}

int64_t Dim::constant() const {
  CLEAVE_CHECK(is_constant(), "constant() of " + text());
  return terms_.empty() ? 0 : terms_[0].coefficient;
}

std::optional<int64_t> Dim::as_constant() const {
  if (!is_constant()) return std::nullopt;
  return constant();
}

std::strong_ordering Dim::Atom::operator<=>(const Atom& other) const {
  if ((function == nullptr) != (other.function == nullptr)) {
    return function == nullptr ? std::strong_ordering::less : std::strong_ordering::greater;
  }
  if (function == nullptr) return symbol.compare(other.symbol) <=> 0;
  if (function == other.function) return std::strong_ordering::equal;
  if (auto c = function->kind <=> other.function->kind; c != 0) return c;
  if (auto c = function->a <=> other.function->a; c != 0) return c;
  return function->b <=> other.function->b;
}

std::strong_ordering Dim::compare_atoms(const std::vector<Atom>& a, const std::vector<Atom>& b) {
  // Higher degrees first, so that constants come last in the text.
  if (a.size() != b.size()) return b.size() <=> a.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (auto c = a[i] <=> b[i]; c != 0) return c;
  }
  return std::strong_ordering::equal;
}

Dim Dim::from_terms(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(),
            [](const Term& a, const Term& b) { return compare_atoms(a.atoms, b.atoms) < 0; });
  Dim result;
  for (Term& term : terms) {
    if (!result.terms_.empty() && compare_atoms(result.terms_.back().atoms, term.atoms) == 0) {
      result.terms_.back().coefficient =
          checked_add(result.terms_.back().coefficient, term.coefficient);
    } else {
      if (!result.terms_.empty() && result.terms_.back().coefficient == 0) {
        result.terms_.pop_back();
      }
      result.terms_.push_back(std::move(term));
    }
  }
  if (!result.terms_.empty() && result.terms_.back().coefficient == 0) result.terms_.pop_back();
  return result;
}

Dim Dim::operator+(const Dim& other) const {
  if (is_constant() && other.is_constant()) return checked_add(constant(), other.constant());
  std::vector<Term> terms = terms_;
  terms.insert(terms.end(), other.terms_.begin(), other.terms_.end());
  return from_terms(std::move(terms));
}

Dim Dim::operator-() const { return *this * Dim(-1); }

Dim Dim::operator-(const Dim& other) const { return *this + (-other); }

Dim Dim::operator*(const Dim& other) const {
  if (is_constant() && other.is_constant()) return checked_mul(constant(), other.constant());
  if (is(1)) return other;
  if (other.is(1)) return *this;
  std::vector<Term> terms;
  for (const Term& a : terms_) {
    for (const Term& b : other.terms_) {
      Term term{checked_mul(a.coefficient, b.coefficient), a.atoms};
      term.atoms.insert(term.atoms.end(), b.atoms.begin(), b.atoms.end());
      std::sort(term.atoms.begin(), term.atoms.end());
      terms.push_back(std::move(term));
    }
  }
  return from_terms(std::move(terms));
}

bool Dim::operator==(const Dim& other) const { return (*this <=> other) == 0; }

std::strong_ordering Dim::operator<=>(const Dim& other) const {
  for (size_t i = 0; i < terms_.size() && i < other.terms_.size(); ++i) {
    if (auto c = compare_atoms(terms_[i].atoms, other.terms_[i].atoms); c != 0) return c;
    if (auto c = terms_[i].coefficient <=> other.terms_[i].coefficient; c != 0) return c;
  }
  return terms_.size() <=> other.terms_.size();
}

std::optional<Dim> exact_div(const Dim& a, const Dim& b) {
  if (b.is(1)) return a;
  if (b.terms_.size() != 1) {
    // Long division is needed only for equal polynomials and multiples of one.
    if (a == b) return Dim(1);
    if (b.terms_.empty() || a.terms_.empty()) return std::nullopt;
    Dim leading;
    leading.terms_ = {b.terms_[0]};
    Dim first;
    first.terms_ = {a.terms_[0]};
    const auto quotient = exact_div(first, leading);
    if (quotient && *quotient * b == a) return quotient;
    return std::nullopt;
  }
  const Dim::Term& divisor = b.terms_[0];
  std::vector<Dim::Term> terms;
  for (const Dim::Term& term : a.terms_) {
    if (term.coefficient % divisor.coefficient != 0) return std::nullopt;
    Dim::Term result{term.coefficient / divisor.coefficient, term.atoms};
    for (const Dim::Atom& atom : divisor.atoms) {
      auto it = std::find(result.atoms.begin(), result.atoms.end(), atom);
      if (it == result.atoms.end()) return std::nullopt;
      result.atoms.erase(it);
    }
    terms.push_back(std::move(result));
  }
  return Dim::from_terms(std::move(terms));
}

Dim Dim::of_function(Kind kind, const Dim& a, const Dim& b) {
  Dim result;
  result.terms_.push_back({1, {Atom{{}, std::make_shared<const Function>(Function{kind, a, b})}}});
  return result;
}

Dim floor_div(const Dim& a, const Dim& b) {
  if (b.is(0)) throw Error(ErrorCode::kInvalid, "a size is divided by zero");
  if (a.is_constant() && b.is_constant()) return floor_div(a.constant(), b.constant());
  if (a.is(0)) return 0;
  if (auto exact = exact_div(a, b)) return *exact;
  // Whole multiples of b leave the function: floor((q*b + r) / b) = q + floor(r / b).
  std::vector<Dim::Term> rest;
  Dim whole;
  for (const Dim::Term& term : a.terms_) {
    Dim one;
    one.terms_ = {term};
    if (auto exact = exact_div(one, b)) {
      whole += *exact;
    } else {
      rest.push_back(term);
    }
  }
  const Dim remainder = Dim::from_terms(std::move(rest));
  if (remainder.is_constant() && b.is_constant()) {
    return whole + Dim(floor_div(remainder.constant(), b.constant()));
  }
  return whole + Dim::of_function(Dim::Kind::kFloorDiv, remainder, b);
}

Dim ceil_div(const Dim& a, const Dim& b) { return -floor_div(-a, b); }

Dim mod(const Dim& a, const Dim& b) { return a - b * floor_div(a, b); }

Dim min(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  if (difference.is_constant()) return difference.constant() <= 0 ? a : b;
  return a < b ? Dim::of_function(Dim::Kind::kMin, a, b) : Dim::of_function(Dim::Kind::kMin, b, a);
}

Dim max(const Dim& a, const Dim& b) {
  const Dim difference = a - b;
  if (difference.is_constant()) return difference.constant() >= 0 ? a : b;
  return a < b ? Dim::of_function(Dim::Kind::kMax, a, b) : Dim::of_function(Dim::Kind::kMax, b, a);
}

Dim Dim::combine(Kind kind, const Dim& a, const Dim& b) {
  switch (kind) {
    case Kind::kFloorDiv:
      return floor_div(a, b);
    case Kind::kMod:
      return mod(a, b);
    case Kind::kMin:
      return min(a, b);
    case Kind::kMax:
      return max(a, b);
  }
  return {};
}

int64_t Dim::evaluate(const SymbolValues& values) const {
  int64_t sum = 0;
  for (const Term& term : terms_) {
    int64_t factor = term.coefficient;
    for (const Atom& atom : term.atoms) {
      int64_t value = 0;
      if (atom.function == nullptr) {
        const auto it = values.find(atom.symbol);
        if (it == values.end()) {
          throw Error(ErrorCode::kInvalid, "the dimension '" + atom.symbol + "' has no value");
        }
        value = it->second;
      } else {
        const Function& f = *atom.function;
        value = combine(f.kind, f.a.evaluate(values), f.b.evaluate(values)).constant();
      }
      factor = checked_mul(factor, value);
    }
    sum = checked_add(sum, factor);
  }
  return sum;
}

Interval Dim::bounds(const SymbolBounds& bounds) const {
  __int128 low = 0;
  __int128 high = 0;
  for (const Term& term : terms_) {
    Interval factor{term.coefficient, term.coefficient};
    for (const Atom& atom : term.atoms) {
      Interval value{0, kDefaultHigh};
      if (atom.function == nullptr) {
        if (const auto it = bounds.find(atom.symbol); it != bounds.end()) value = it->second;
      } else {
        const Function& f = *atom.function;
        const Interval a = f.a.bounds(bounds);
        const Interval b = f.b.bounds(bounds);
        switch (f.kind) {
          case Kind::kFloorDiv:
          case Kind::kMod: {
            // Divisors are positive in every expression that Cleave makes.
            const int64_t least = std::max<int64_t>(1, b.low);
            const int64_t most = std::max<int64_t>(least, b.high);
            value = {std::min(cleave::floor_div(a.low, least), cleave::floor_div(a.low, most)),
                     std::max(cleave::floor_div(a.high, least), cleave::floor_div(a.high, most))};
            break;
          }
          case Kind::kMin:
            value = {std::min(a.low, b.low), std::min(a.high, b.high)};
            break;
          case Kind::kMax:
            value = {std::max(a.low, b.low), std::max(a.high, b.high)};
            break;
        }
      }
      const __int128 corners[4] = {static_cast<__int128>(factor.low) * value.low,
                                   static_cast<__int128>(factor.low) * value.high,
                                   static_cast<__int128>(factor.high) * value.low,
                                   static_cast<__int128>(factor.high) * value.high};
      factor = {saturate(*std::min_element(corners, corners + 4)),
                saturate(*std::max_element(corners, corners + 4))};
    }
    low += factor.low;
    high += factor.high;
  }
  return {saturate(low), saturate(high)};
}

Dim Dim::substitute(const std::map<std::string, Dim, std::less<>>& values) const {
  Dim sum;
  for (const Term& term : terms_) {
    Dim factor = term.coefficient;
    for (const Atom& atom : term.atoms) {
      if (atom.function != nullptr) {
        const Function& f = *atom.function;
        factor *= combine(f.kind, f.a.substitute(values), f.b.substitute(values));
      } else if (const auto it = values.find(atom.symbol); it != values.end()) {
        factor *= it->second;
      } else {
        factor *= symbol(atom.symbol);
      }
    }
    sum += factor;
  }
  return sum;
}

void Dim::collect_symbols(std::set<std::string, std::less<>>& into) const {
  for (const Term& term : terms_) {
    for (const Atom& atom : term.atoms) {
      if (atom.function == nullptr) {
        into.insert(atom.symbol);
      } else {
        atom.function->a.collect_symbols(into);
        atom.function->b.collect_symbols(into);
      }
    }
  }
}

bool Dim::depends_on(std::string_view symbol) const {
  std::set<std::string, std::less<>> symbols;
  collect_symbols(symbols);
  return symbols.contains(symbol);
}

std::string Dim::text() const {
  if (terms_.empty()) return "0";
  std::string out;
  for (const Term& term : terms_) {
    int64_t coefficient = term.coefficient;
    if (!out.empty()) {
      // The most negative integer has no positive twin: keep its sign.
      const bool negative = coefficient < 0 && coefficient != INT64_MIN;
      out += negative ? " - " : " + ";
      if (negative) coefficient = -coefficient;
    }
    bool first = true;
    if (term.atoms.empty() || (coefficient != 1 && coefficient != -1)) {
      out += std::to_string(coefficient);
      first = false;
    } else if (coefficient == -1) {
      out += "-";
    }
    for (const Atom& atom : term.atoms) {
      if (!first) out += "*";
      first = false;
      if (atom.function == nullptr) {
        out += atom.symbol;
      } else {
        static constexpr const char* kNames[] = {"floordiv", "mod", "min", "max"};
        out += kNames[static_cast<int>(atom.function->kind)];
        out += "(" + atom.function->a.text() + ", " + atom.function->b.text() + ")";
      }
    }
  }
  return out;
}

uint64_t Dim::hash() const { return hash_bytes(text()); }

Dim product(std::span<const Dim> dims) {
  Dim result = 1;
  for (const Dim& dim : dims) result *= dim;
  return result;
}

std::string text_of(std::span<const Dim> dims) {
  std::string out = "[";
  for (size_t i = 0; i < dims.size(); ++i) out += (i ? ", " : "") + dims[i].text();
  return out + "]";
}

std::vector<int64_t> evaluate(std::span<const Dim> dims, const SymbolValues& values) {
  std::vector<int64_t> result;
  result.reserve(dims.size());
  for (const Dim& dim : dims) result.push_back(dim.evaluate(values));
  return result;
}

}  // namespace cleave
