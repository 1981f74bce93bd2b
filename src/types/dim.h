// Dim: a dimension, offset or count as an integer expression over named symbols.
//
// Expressions are kept in a canonical form, a polynomial with integer coefficients whose atoms are
// symbols and the functions floor_div, mod, min and max of other expressions; two expressions that
// have the same canonical form are equal. Inequality of forms proves nothing: then a guard is
// checked when shapes are set.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cleave {

// Values of symbols, by name.
using SymbolValues = std::map<std::string, int64_t, std::less<>>;

// A closed interval of values.
struct Interval {
  int64_t low = 0;
  int64_t high = 0;
  bool operator==(const Interval&) const = default;
};
using SymbolBounds = std::map<std::string, Interval, std::less<>>;

// The rank's index in the group, as a symbol of local graphs and programs.
inline constexpr std::string_view kRankSymbol = "$rank";

class Dim {
 public:
  Dim() = default;                                      // zero
  Dim(int64_t value);                                   // NOLINT: an integer is a Dim
  Dim(int value) : Dim(static_cast<int64_t>(value)) {}  // NOLINT
  static Dim symbol(std::string_view name);
  static Dim rank() { return symbol(kRankSymbol); }
  // The inverse of `text`. Error(kInvalid) on anything else; nesting and length are limited.
  static Dim parse(std::string_view text);

  bool is_constant() const {
    return terms_.empty() || (terms_.size() == 1 && terms_[0].atoms.empty());
  }
  // Precondition: is_constant().
  int64_t constant() const;
  std::optional<int64_t> as_constant() const;
  bool is(int64_t value) const { return is_constant() && constant() == value; }

  // Error(kInvalid) where a symbol has no value, on division by zero and on overflow.
  int64_t evaluate(const SymbolValues& values) const;
  // Bounds that hold for all values of the symbols inside theirs; exact for one use of each symbol.
  // Symbols that are absent count as [0, 2^40].
  Interval bounds(const SymbolBounds& bounds) const;
  Dim substitute(const std::map<std::string, Dim, std::less<>>& values) const;
  void collect_symbols(std::set<std::string, std::less<>>& into) const;
  bool depends_on(std::string_view symbol) const;

  // For example "2*batch*seq + 1", "floordiv(h, 2)".
  std::string text() const;
  uint64_t hash() const;

  Dim operator+(const Dim& other) const;
  Dim operator-(const Dim& other) const;
  Dim operator*(const Dim& other) const;
  Dim operator-() const;
  Dim& operator+=(const Dim& other) { return *this = *this + other; }
  Dim& operator*=(const Dim& other) { return *this = *this * other; }
  bool operator==(const Dim& other) const;
  // An order of forms, for sorted containers; says nothing of sizes.
  std::strong_ordering operator<=>(const Dim& other) const;

  friend Dim floor_div(const Dim& a, const Dim& b);  // rounds toward minus infinity
  friend Dim ceil_div(const Dim& a, const Dim& b);
  friend Dim mod(const Dim& a, const Dim& b);  // a - b * floor_div(a, b)
  friend Dim min(const Dim& a, const Dim& b);
  friend Dim max(const Dim& a, const Dim& b);
  // a / b where b divides a as a polynomial.
  friend std::optional<Dim> exact_div(const Dim& a, const Dim& b);

 private:
  struct Function;
  // One symbol, or one function of expressions where `function` is set.
  struct Atom {
    std::string symbol;
    std::shared_ptr<const Function> function;
    std::strong_ordering operator<=>(const Atom& other) const;
    bool operator==(const Atom& other) const { return (*this <=> other) == 0; }
  };
  struct Term {
    int64_t coefficient = 0;
    std::vector<Atom> atoms;  // sorted, repeated for powers
  };
  enum class Kind : uint8_t { kFloorDiv, kMod, kMin, kMax };

  static Dim of_function(Kind kind, const Dim& a, const Dim& b);
  static Dim combine(Kind kind, const Dim& a, const Dim& b);
  static Dim from_terms(std::vector<Term> terms);
  static std::strong_ordering compare_atoms(const std::vector<Atom>& a, const std::vector<Atom>& b);
  friend class DimParser;

  std::vector<Term> terms_;  // sorted by atoms, no zero coefficients
};

Dim floor_div(const Dim& a, const Dim& b);
Dim ceil_div(const Dim& a, const Dim& b);
Dim mod(const Dim& a, const Dim& b);
Dim min(const Dim& a, const Dim& b);
Dim max(const Dim& a, const Dim& b);
std::optional<Dim> exact_div(const Dim& a, const Dim& b);

using Shape = std::vector<Dim>;

Dim product(std::span<const Dim> dims);
std::string text_of(std::span<const Dim> dims);  // "[batch, 384]"
std::vector<int64_t> evaluate(std::span<const Dim> dims, const SymbolValues& values);

// Integer arithmetic that throws Error(kInvalid) on overflow.
int64_t checked_add(int64_t a, int64_t b);
int64_t checked_mul(int64_t a, int64_t b);
int64_t floor_div(int64_t a, int64_t b);
int64_t ceil_div(int64_t a, int64_t b);

}  // namespace cleave
