// Attributes: the named settings of a node or instruction.
//
// One field list serves printing, parsing, hashing, comparing and the engine's encoding. Sizes are
// Dims, so that they may depend on symbols and on the rank; `evaluated` fixes them before a kernel
// sees them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "types/dim.h"
#include "types/dtype.h"

namespace cleave {

class Attributes {
 public:
  using Value = std::variant<Dim, double, std::string, DType, std::vector<Dim>, std::vector<double>,
                             std::vector<std::string>>;
  struct Field {
    std::string name;
    Value value;
    bool operator==(const Field&) const = default;
  };

  Attributes() = default;
  Attributes(std::initializer_list<Field> fields);

  void set(std::string_view name, Value value);
  void set(std::string_view name, const char* value) { set(name, Value(std::string(value))); }
  void erase(std::string_view name);
  const Value* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  const std::vector<Field>& fields() const { return fields_; }  // sorted by name

  // Typed access; Error(kInvalid) naming the attribute where it is absent or of another kind.
  const Dim& dim(std::string_view name) const;
  Dim dim(std::string_view name, const Dim& otherwise) const;
  int64_t integer(std::string_view name) const;  // a constant Dim
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double real(std::string_view name) const;
  double real(std::string_view name, double otherwise) const;
  const std::string& string(std::string_view name) const;
  std::string string(std::string_view name, std::string_view otherwise) const;
  DType dtype(std::string_view name) const;
  const std::vector<Dim>& dims(std::string_view name) const;
  std::vector<int64_t> integers(std::string_view name) const;  // constant Dims
  const std::vector<std::string>& strings(std::string_view name) const;
  const std::vector<double>& reals(std::string_view name) const;

  // Every Dim replaced by its value.
  Attributes evaluated(const SymbolValues& values) const;
  // For example `{axis=-1, perm=[0, 2, 1], to=f16, mode="linear", scale=0.5}`; empty: "".
  // Reals always hold '.', 'e', "inf" or "nan", lists of reals are `r[...]`.
  std::string text() const;
  // The inverse of `text`; starts at text[position] and moves it behind the closing brace.
  static Attributes parse(std::string_view text, size_t& position);
  uint64_t hash() const;
  bool operator==(const Attributes&) const = default;

 private:
  std::vector<Field> fields_;
};

}  // namespace cleave
