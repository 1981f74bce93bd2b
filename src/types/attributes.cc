#include "types/attributes.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/hash.h"
#include "cleave/error.h"

namespace cleave {
namespace {

template <class T>
const T& typed(const Attributes& attributes, std::string_view name, const char* kind) {
  const Attributes::Value* value = attributes.find(name);
  if (value == nullptr) {
    throw Error(ErrorCode::kInvalid, "the attribute '" + std::string(name) + "' is missing");
  }
  if (const T* result = std::get_if<T>(value)) return *result;
  throw Error(ErrorCode::kInvalid, "the attribute '" + std::string(name) + "' is not " + kind);
}

int64_t constant_of(const Dim& dim, std::string_view name) {
  if (const auto value = dim.as_constant()) return *value;
  throw Error(ErrorCode::kInvalid,
              "the attribute '" + std::string(name) + "' must be a number, not " + dim.text());
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string text_of_real(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string out(buffer, end);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

template <class T, class F>
std::string text_of_list(const std::vector<T>& items, F&& text) {
  std::string out = "[";
  for (size_t i = 0; i < items.size(); ++i) out += (i ? ", " : "") + text(items[i]);
  return out + "]";
}

std::string text_of_value(const Attributes::Value& value) {
  struct Printer {
    std::string operator()(const Dim& v) const { return v.text(); }
    std::string operator()(double v) const { return text_of_real(v); }
    std::string operator()(const std::string& v) const { return quoted(v); }
    std::string operator()(DType v) const { return "type(" + std::string(name_of(v)) + ")"; }
    std::string operator()(const std::vector<Dim>& v) const { return text_of(v); }
    std::string operator()(const std::vector<double>& v) const {
      return "r" + text_of_list(v, text_of_real);
    }
    std::string operator()(const std::vector<std::string>& v) const {
      return "s" + text_of_list(v, [](const std::string& s) { return quoted(s); });
    }
  };
  return std::visit(Printer{}, value);
}

// Reads values of the text form.
class Reader {
 public:
  Reader(std::string_view text, size_t& position) : text_(text), position_(position) {}

  [[noreturn]] void fail() const {
    throw Error(ErrorCode::kInvalid,
                "not an attribute list at '" + std::string(text_.substr(position_, 40)) + "'");
  }
  bool accept(std::string_view token) {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
    if (!text_.substr(position_).starts_with(token)) return false;
    position_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail();
  }
  std::string name() {
    accept("");
    const size_t begin = position_;
    while (position_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[position_])) || text_[position_] == '_'))
      ++position_;
    if (begin == position_) fail();
    return std::string(text_.substr(begin, position_ - begin));
  }
  std::string quoted_string() {
    expect("\"");
    std::string out;
    while (position_ < text_.size() && text_[position_] != '"') {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) {
        ++position_;
        out += text_[position_] == 'n' ? '\n' : text_[position_];
      } else {
        out += text_[position_];
      }
      ++position_;
    }
    expect("\"");
    return out;
  }
  // The text up to a ',' or closing bracket outside parentheses.
  std::string_view item() {
    accept("");
    const size_t begin = position_;
    int depth = 0;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (depth == 0 && (c == ',' || c == ']' || c == '}')) break;
      if (c == '(') ++depth;
      if (c == ')') --depth;
      ++position_;
    }
    return text_.substr(begin, position_ - begin);
  }
  static bool is_real(std::string_view token) {
    if (token == "nan" || token == "inf" || token == "-inf") return true;
    const bool starts = !token.empty() && (std::isdigit(static_cast<unsigned char>(token[0])) ||
                                           (token[0] == '-' && token.size() > 1 &&
                                            std::isdigit(static_cast<unsigned char>(token[1]))));
    return starts && token.find_first_of(".e") != std::string_view::npos &&
           token.find_first_not_of("0123456789.e+-") == std::string_view::npos;
  }
  double real(std::string_view token) const {
    if (token == "nan") return std::numeric_limits<double>::quiet_NaN();
    if (token == "inf") return std::numeric_limits<double>::infinity();
    if (token == "-inf") return -std::numeric_limits<double>::infinity();
    double value = 0;
    const auto result = std::from_chars(token.data(), token.data() + token.size(), value);
    if (result.ec != std::errc() || result.ptr != token.data() + token.size()) fail();
    return value;
  }
  template <class F>
  auto list(F&& read) {
    std::vector<decltype(read())> items;
    expect("[");
    if (accept("]")) return items;
    do {
      items.push_back(read());
    } while (accept(","));
    expect("]");
    return items;
  }
  Attributes::Value value() {
    accept("");
    const std::string_view rest = text_.substr(position_);
    if (rest.starts_with("\"")) return quoted_string();
    if (rest.starts_with("[")) return list([&] { return Dim::parse(item()); });
    if (rest.starts_with("r[")) {
      expect("r");
      return list([&] { return real(item()); });
    }
    if (rest.starts_with("s[")) {
      expect("s");
      return list([&] { return quoted_string(); });
    }
    if (rest.starts_with("type(")) {
      expect("type(");
      const auto type = parse_dtype(name());
      if (!type) fail();
      expect(")");
      return *type;
    }
    const std::string_view token = item();
    if (is_real(token)) return real(token);
    return Dim::parse(token);
  }

 private:
  std::string_view text_;
  size_t& position_;
};

}  // namespace

Attributes::Attributes(std::initializer_list<Field> fields) {
  for (const Field& field : fields) set(field.name, field.value);
}

void Attributes::set(std::string_view name, Value value) {
  auto it = std::lower_bound(fields_.begin(), fields_.end(), name,
                             [](const Field& f, std::string_view n) { return f.name < n; });
  if (it != fields_.end() && it->name == name) {
    it->value = std::move(value);
  } else {
    fields_.insert(it, Field{std::string(name), std::move(value)});
  }
}

void Attributes::erase(std::string_view name) {
  std::erase_if(fields_, [&](const Field& f) { return f.name == name; });
}

const Attributes::Value* Attributes::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (field.name == name) return &field.value;
  }
  return nullptr;
}

const Dim& Attributes::dim(std::string_view name) const {
  return typed<Dim>(*this, name, "a size");
}
Dim Attributes::dim(std::string_view name, const Dim& otherwise) const {
  return has(name) ? dim(name) : otherwise;
}
int64_t Attributes::integer(std::string_view name) const { return constant_of(dim(name), name); }
int64_t Attributes::integer(std::string_view name, int64_t otherwise) const {
  return has(name) ? integer(name) : otherwise;
}
double Attributes::real(std::string_view name) const {
  return typed<double>(*this, name, "a real number");
}
double Attributes::real(std::string_view name, double otherwise) const {
  return has(name) ? real(name) : otherwise;
}
const std::string& Attributes::string(std::string_view name) const {
  return typed<std::string>(*this, name, "a text");
}
std::string Attributes::string(std::string_view name, std::string_view otherwise) const {
  return has(name) ? string(name) : std::string(otherwise);
}
DType Attributes::dtype(std::string_view name) const {
  return typed<DType>(*this, name, "an element type");
}
const std::vector<Dim>& Attributes::dims(std::string_view name) const {
  return typed<std::vector<Dim>>(*this, name, "a list of sizes");
}
std::vector<int64_t> Attributes::integers(std::string_view name) const {
  std::vector<int64_t> result;
  for (const Dim& dim : dims(name)) result.push_back(constant_of(dim, name));
  return result;
}
const std::vector<std::string>& Attributes::strings(std::string_view name) const {
  return typed<std::vector<std::string>>(*this, name, "a list of texts");
}
const std::vector<double>& Attributes::reals(std::string_view name) const {
  return typed<std::vector<double>>(*this, name, "a list of real numbers");
}

Attributes Attributes::evaluated(const SymbolValues& values) const {
  Attributes result = *this;
  for (Field& field : result.fields_) {
    if (Dim* dim = std::get_if<Dim>(&field.value)) *dim = dim->evaluate(values);
    if (auto* dims = std::get_if<std::vector<Dim>>(&field.value)) {
      for (Dim& dim : *dims) dim = dim.evaluate(values);
    }
  }
  return result;
}

std::string Attributes::text() const {
  if (fields_.empty()) return "";
  std::string out = "{";
  for (size_t i = 0; i < fields_.size(); ++i) {
    out += (i ? ", " : "") + fields_[i].name + "=" + text_of_value(fields_[i].value);
  }
  return out + "}";
}

Attributes Attributes::parse(std::string_view text, size_t& position) {
  Reader reader(text, position);
  Attributes result;
  reader.expect("{");
  if (reader.accept("}")) return result;
  do {
    const std::string name = reader.name();
    reader.expect("=");
    if (result.has(name)) reader.fail();
    result.set(name, reader.value());
  } while (reader.accept(","));
  reader.expect("}");
  return result;
}

uint64_t Attributes::hash() const { return hash_bytes(text()); }

}  // namespace cleave
