#include "runtime/bind_shapes.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/check.h"

namespace cleave::runtime {
namespace {

using program::Binding;
using program::EngineData;
using program::Program;

std::string text_of_shape(const std::vector<int64_t>& shape) {
  return text_of(std::vector<Dim>(shape.begin(), shape.end()));
}

std::string names_of(const std::vector<Binding>& bindings) {
  std::string names;
  for (const Binding& binding : bindings) names += (names.empty() ? "" : ", ") + binding.name;
  return names.empty() ? "none" : names;
}

void check_names(const EngineData& data, const TensorMap& inputs) {
  for (const Binding& binding : data.inputs) {
    if (inputs.contains(binding.name)) continue;
    throw Error(ErrorCode::kInvalid, "the input '" + binding.name + "' is missing",
                "the engine takes: " + names_of(data.inputs));
  }
  for (const auto& [name, tensor] : inputs) {
    const bool known = std::any_of(data.inputs.begin(), data.inputs.end(),
                                   [&](const Binding& binding) { return binding.name == name; });
    if (known) continue;
    throw Error(ErrorCode::kInvalid, "the engine has no input '" + name + "'",
                "it takes: " + names_of(data.inputs));
  }
}

void check_type(const Binding& binding, const Tensor& tensor) {
  if (tensor.dtype() == binding.type.dtype && tensor.shape().size() == binding.type.shape.size()) {
    return;
  }
  const bool type = tensor.dtype() != binding.type.dtype;
  throw Error(ErrorCode::kInvalid,
              "the input has the wrong " + std::string(type ? "element type" : "shape") + ": " +
                  tensor.type_text() + " was given, " + binding.type.text() + " is expected",
              type
                  ? "convert it to " + std::string(name_of(binding.type.dtype))
                  : "give a tensor of " + std::to_string(binding.type.shape.size()) + " dimensions")
      .at("input '" + binding.name + "'");
}

// Finds the symbols' values for one program.
class Binder {
 public:
  Binder(const EngineData& data, const Program& program) : data_(data), program_(program) {}

  SymbolValues bind(const TensorMap& inputs) {
    for (const Binding& binding : data_.inputs) bind_plain(binding, inputs.at(binding.name));
    for (const Binding& binding : data_.inputs) check(binding, inputs.at(binding.name));
    for (const program::Symbol& symbol : program_.symbols) {
      if (values_.contains(symbol.name)) continue;
      throw Error(ErrorCode::kInvalid,
                  "no input tells the size of the dimension '" + symbol.name + "'",
                  "build the engine again with a fixed size for it (--shapes)");
    }
    check_guards();
    return values_;
  }

 private:
  // Dimensions that are one symbol give its value.
  void bind_plain(const Binding& binding, const Tensor& tensor) {
    for (const Dim& dim : binding.type.shape) {
      const auto name = only_symbol(dim);
      if (!name || Dim::symbol(*name) != dim) continue;
      set(binding, tensor, *name, tensor.shape()[index_of(binding, dim)]);
    }
  }

  // Every other dimension is an expression: it must come out as given.
  void check(const Binding& binding, const Tensor& tensor) {
    for (const Dim& dim : binding.type.shape) {
      const int64_t given = tensor.shape()[index_of(binding, dim)];
      solve(binding, tensor, dim, given);
      const int64_t expected = evaluate(binding, tensor, dim);
      if (given != expected) {
        mismatch(binding, tensor,
                 "dimension " + std::to_string(index_of(binding, dim)) + " is " +
                     std::to_string(given) + ", it must be " + std::to_string(expected) +
                     (dim.is_constant() ? "" : " (" + dim.text() + ")"));
      }
    }
  }

  // An expression of one symbol that nothing else tells is taken as linear in it.
  void solve(const Binding& binding, const Tensor& tensor, const Dim& dim, int64_t given) {
    const auto name = only_symbol(dim);
    if (!name || values_.contains(*name)) return;
    const int64_t at_0 = dim.evaluate({{*name, 0}});
    const int64_t slope = dim.evaluate({{*name, 1}}) - at_0;
    if (slope != 0 && (given - at_0) % slope == 0) {
      set(binding, tensor, *name, (given - at_0) / slope);
    }
  }

  int64_t evaluate(const Binding& binding, const Tensor& tensor, const Dim& dim) const {
    try {
      return dim.evaluate(values_);
    } catch (const Error& error) {
      mismatch(binding, tensor, error.message());
    }
  }

  void set(const Binding& binding, const Tensor& tensor, const std::string& name, int64_t value) {
    const auto [it, added] = values_.try_emplace(name, value);
    if (!added && it->second != value) {
      mismatch(binding, tensor,
               "the dimension '" + name + "' is " + std::to_string(value) + " here and " +
                   std::to_string(it->second) + " elsewhere");
    }
    for (const program::Symbol& symbol : program_.symbols) {
      if (symbol.name != name || (value >= symbol.min && value <= symbol.max)) continue;
      mismatch(binding, tensor,
               "the dimension '" + name + "' is " + std::to_string(value) +
                   ", the engine was built for " + std::to_string(symbol.min) + " to " +
                   std::to_string(symbol.max),
               "build the engine with a profile that holds it (--minShapes, --maxShapes)");
    }
  }

  void check_guards() const {
    SymbolValues values = values_;
    values[std::string(kRankSymbol)] = 0;
    const SizeGuard* const broken = broken_guard(program_.guards, values);
    if (broken == nullptr) return;
    throw Error(ErrorCode::kInvalid,
                "these inputs' sizes do not fit each other: " + broken->what_is_wrong(values),
                "give inputs whose sizes agree")
        .at(broken->where);
  }

  static std::optional<std::string> only_symbol(const Dim& dim) {
    std::set<std::string, std::less<>> names;
    dim.collect_symbols(names);
    if (names.size() != 1) return std::nullopt;
    return *names.begin();
  }
  static size_t index_of(const Binding& binding, const Dim& dim) {
    return static_cast<size_t>(&dim - binding.type.shape.data());
  }
  [[noreturn]] static void mismatch(const Binding& binding, const Tensor& tensor,
                                    const std::string& why, const std::string& hint = {}) {
    throw Error(ErrorCode::kInvalid,
                "the input has the wrong shape: " + text_of_shape(tensor.shape()) + " was given, " +
                    text_of(binding.type.shape) + " is expected; " + why,
                hint.empty() ? "give a tensor of the expected shape" : hint)
        .at("input '" + binding.name + "'");
  }

  const EngineData& data_;
  const Program& program_;
  SymbolValues values_;
};

}  // namespace

BoundShapes bind_shapes(const EngineData& data, const TensorMap& inputs) {
  check_names(data, inputs);
  for (const Binding& binding : data.inputs) check_type(binding, inputs.at(binding.name));
  std::optional<Error> reason;
  for (size_t p = 0; p < data.programs.size(); ++p) {
    try {
      return {p, Binder(data, data.programs[p]).bind(inputs)};
    } catch (const Error& error) {
      if (!reason) reason = error;
    }
  }
  CLEAVE_CHECK(reason.has_value(), "an engine without a program");
  throw *reason;
}

}  // namespace cleave::runtime
