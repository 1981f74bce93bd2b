// Reading dimensions from text; the inverse of Dim::text.
#include <cctype>

#include "cleave/error.h"
#include "types/dim.h"

namespace cleave {

// Recursive descent over `expression = term {("+"|"-") term}`, `term = ["-"] factor {"*" factor}`.
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}

  Dim parse_all() {
    if (text_.size() > 4096) fail();
    Dim result = expression();
    skip_space();
    if (position_ != text_.size()) fail();
    return result;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::kInvalid, "not a dimension: '" + std::string(text_.substr(0, 80)) + "'");
  }
  void skip_space() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }
  bool accept(char c) {
    skip_space();
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  Dim expression() {
    if (++depth_ > 32) fail();
    Dim sum = term();
    while (true) {
      if (accept('+')) {
        sum += term();
      } else if (accept('-')) {
        sum = sum - term();
      } else {
        --depth_;
        return sum;
      }
    }
  }
  Dim term() {
    const bool negative = accept('-');
    Dim result = factor(negative);
    while (accept('*')) result *= factor(false);
    return result;
  }
  Dim factor(bool negative) {
    skip_space();
    if (position_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[position_]))) {
      int64_t value = 0;
      while (position_ < text_.size() &&
             std::isdigit(static_cast<unsigned char>(text_[position_]))) {
        const int64_t digit = text_[position_++] - '0';
        value = checked_add(checked_mul(value, 10), negative ? -digit : digit);
      }
      return value;
    }
    if (accept('(')) {
      Dim inner = expression();
      if (!accept(')')) fail();
      return negative ? -inner : inner;
    }
    const size_t begin = position_;
    while (position_ < text_.size() && is_name(text_[position_])) ++position_;
    const std::string_view name = text_.substr(begin, position_ - begin);
    if (name.empty()) fail();
    if (position_ < text_.size() && text_[position_] == '(') {
      const Dim result = function(name);
      return negative ? -result : result;
    }
    return negative ? -Dim::symbol(name) : Dim::symbol(name);
  }
  Dim function(std::string_view name) {
    Dim::Kind kind = Dim::Kind::kFloorDiv;
    if (name == "mod") {
      kind = Dim::Kind::kMod;
    } else if (name == "min") {
      kind = Dim::Kind::kMin;
    } else if (name == "max") {
      kind = Dim::Kind::kMax;
    } else if (name != "floordiv") {
      fail();
    }
    if (!accept('(')) fail();
    const Dim a = expression();
    if (!accept(',')) fail();
    const Dim b = expression();
    if (!accept(')')) fail();
    return Dim::combine(kind, a, b);
  }
  static bool is_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$' ||
           c == '/' || c == ':' || c == '#' || static_cast<unsigned char>(c) >= 0x80;
  }

  std::string_view text_;
  size_t position_ = 0;
  int depth_ = 0;
};

Dim Dim::parse(std::string_view text) { return DimParser(text).parse_all(); }

}  // namespace cleave
