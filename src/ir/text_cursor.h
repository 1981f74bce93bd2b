// Cursor: reads one line of a graph's text from left to right. Used by the parser only.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/check.h"
#include "ir/text_names.h"
#include "types/attributes.h"
#include "types/tensor_type.h"

namespace cleave::ir {

// More dimensions than this are refused.
inline constexpr size_t kMostDimensions = 64;

[[noreturn]] inline void syntax_error(std::string message) {
  throw Error(ErrorCode::kInvalid, std::move(message));
}

// Reads one line from left to right.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  void skip_space() {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
  }
  bool accept(std::string_view token) {
    skip_space();
    if (!text_.substr(position_).starts_with(token)) return false;
    position_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) {
      syntax_error("expected '" + std::string(token) + "' at '" +
                   std::string(text_.substr(position_, 40)) + "'");
    }
  }
  bool at_end() {
    skip_space();
    return position_ == text_.size();
  }
  void expect_end() {
    if (!at_end()) syntax_error("unexpected '" + std::string(text_.substr(position_, 40)) + "'");
  }

  std::string quoted() {
    expect("\"");
    std::string out;
    while (position_ < text_.size() && text_[position_] != '"') {
      char c = text_[position_++];
      if (c == '\\' && position_ < text_.size()) {
        c = text_[position_++];
        if (c == 'n') c = '\n';
        if (c == 'r') c = '\r';
      }
      out += c;
    }
    expect("\"");
    return out;
  }
  std::string name() {
    skip_space();
    if (position_ < text_.size() && text_[position_] == '"') return quoted();
    const size_t begin = position_;
    while (position_ < text_.size() && is_plain_name_character(text_[position_])) ++position_;
    if (begin == position_) {
      syntax_error("expected a name at '" + std::string(text_.substr(position_, 40)) + "'");
    }
    return std::string(text_.substr(begin, position_ - begin));
  }
  // The rest of the line behind `//`.
  std::string remark() {
    expect("//");
    skip_space();
    if (position_ < text_.size() && text_[position_] == '"') {
      std::string result = quoted();
      expect_end();
      return result;
    }
    std::string_view rest = text_.substr(position_);
    if (rest.empty()) syntax_error("a name is missing behind '//'");
    position_ = text_.size();
    return std::string(rest);
  }
  // The text up to one of `ends` outside of parentheses.
  std::string_view until(std::string_view ends) {
    skip_space();
    const size_t begin = position_;
    int depth = 0;
    for (; position_ < text_.size(); ++position_) {
      const char c = text_[position_];
      if (depth == 0 && ends.find(c) != std::string_view::npos) break;
      if (c == '(') ++depth;
      if (c == ')') --depth;
    }
    std::string_view item = text_.substr(begin, position_ - begin);
    while (item.ends_with(' ')) item.remove_suffix(1);
    return item;
  }
  // The text up to `end`.
  std::string_view until_text(std::string_view end) {
    skip_space();
    const size_t found = text_.find(end, position_);
    if (found == std::string_view::npos) syntax_error("expected '" + std::string(end) + "'");
    const std::string_view item = text_.substr(position_, found - position_);
    position_ = found;
    return item;
  }
  bool peek(char c) {
    skip_space();
    return position_ < text_.size() && text_[position_] == c;
  }
  template <class T>
  static T number(std::string_view item, int base = 10) {
    T value{};
    std::from_chars_result result{};
    if constexpr (std::is_floating_point_v<T>) {
      result = std::from_chars(item.data(), item.data() + item.size(), value);
    } else {
      result = std::from_chars(item.data(), item.data() + item.size(), value, base);
    }
    if (item.empty() || result.ec != std::errc() || result.ptr != item.data() + item.size()) {
      syntax_error("not a number: '" + std::string(item.substr(0, 40)) + "'");
    }
    return value;
  }
  Dim dim(std::string_view ends) { return Dim::parse(until(ends)); }
  TensorType type() {
    TensorType type;
    const std::string_view dtype = until("[");
    const auto parsed = parse_dtype(dtype);
    if (!parsed)
      syntax_error("there is no element type '" + std::string(dtype.substr(0, 40)) + "'");
    type.dtype = *parsed;
    expect("[");
    if (accept("]")) return type;
    do {
      if (type.rank() == kMostDimensions) syntax_error("a type has too many dimensions");
      type.shape.push_back(dim(",]"));
    } while (accept(","));
    expect("]");
    return type;
  }
  Attributes attributes() {
    skip_space();
    return Attributes::parse(text_, position_);
  }

 private:
  std::string_view text_;
  size_t position_ = 0;
};

}  // namespace cleave::ir
