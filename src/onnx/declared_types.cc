#include "onnx/declared_types.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "cleave/error.h"
#include "onnx/limits.h"
#include "onnx/quote.h"
#include "onnx/symbolic.h"
#include "onnx/tensor_reader.h"

namespace cleave::onnx {
namespace {

using ::onnx::TensorShapeProto;
using ::onnx::ValueInfoProto;

bool is_symbol_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
         c == ':' || static_cast<unsigned char>(c) >= 0x80;
}

// The model's names of dimensions as symbols: characters that expressions cannot hold are
// replaced, and no two names become one.
class SymbolNames {
 public:
  const std::string& of(const std::string& name) {
    const auto [it, is_new] = symbols_.try_emplace(name);
    if (!is_new) return it->second;
    std::string symbol = name;
    for (char& c : symbol) c = is_symbol_character(c) ? c : '_';
    if (symbol.empty() || std::isdigit(static_cast<unsigned char>(symbol[0]))) {
      symbol.insert(symbol.begin(), '_');
    }
    const std::string base = symbol;
    for (int n = 2; !taken_.insert(symbol).second; ++n) symbol = base + "#" + std::to_string(n);
    it->second = std::move(symbol);
    return it->second;
  }

 private:
  std::map<std::string, std::string, std::less<>> symbols_;
  std::set<std::string> taken_;
};

class InputReader {
 public:
  InputReader(const ::onnx::GraphProto& graph, const ImportOptions& options) : options_(options) {
    std::set<std::string> initializers;
    for (const auto& tensor : graph.initializer()) initializers.insert(tensor.name());
    for (const ValueInfoProto& input : graph.input()) {
      if (!initializers.contains(input.name())) protos_.push_back(&input);
    }
    for (const ValueInfoProto* input : protos_) {
      for (const auto& dim : input->type().tensor_type().shape().dim()) {
        if (is_plain_name(dim.dim_param())) names_.insert(dim.dim_param());
      }
    }
  }

  InputTypes run() {
    check_names_of_static_shapes();
    for (const ValueInfoProto* input : protos_) {
      try {
        types_.inputs.push_back({input->name(), type_of(*input)});
      } catch (Error& error) {
        throw error.at("input " + quote(input->name()));
      }
    }
    substitute();
    return std::move(types_);
  }

 private:
  // "?" and the like are some writers' word for a dimension without a name.
  static bool is_name(const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '_' || c >= 0x80; });
  }

  static bool is_plain_name(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_symbol_character) &&
           std::isdigit(static_cast<unsigned char>(text[0])) == 0;
  }

  const std::vector<int64_t>* static_shape(const std::string& input) const {
    for (const auto& [name, shape] : options_.static_shapes) {
      if (name == input) return &shape;
    }
    return nullptr;
  }

  void check_names_of_static_shapes() const {
    for (const auto& [name, shape] : options_.static_shapes) {
      std::string known;
      bool found = false;
      for (const ValueInfoProto* input : protos_) {
        known += (known.empty() ? "" : ", ") + input->name();
        found = found || input->name() == name;
      }
      if (!found) {
        throw Error(ErrorCode::kUsage,
                    "a shape is given for " + quote(name) + ", which is no input of the model",
                    "the inputs are: " + known);
      }
    }
  }

  TensorType type_of(const ValueInfoProto& input) {
    if (!input.has_type() || !input.type().has_tensor_type()) {
      throw Error(ErrorCode::kUnsupported, "the input is not a tensor",
                  "inputs that are sequences, maps or optional are not supported");
    }
    const auto& proto = input.type().tensor_type();
    const auto dtype = dtype_of(proto.elem_type());
    if (!dtype) {
      throw Error(ErrorCode::kUnsupported,
                  "the input has the element type " + onnx_type_name(proto.elem_type()));
    }
    TensorType type{*dtype, {}};
    const std::vector<int64_t>* fixed = static_shape(input.name());
    if (!proto.has_shape()) {
      if (fixed == nullptr || std::count(fixed->begin(), fixed->end(), -1) > 0) {
        throw Error(ErrorCode::kUnsupported, "the model does not say how many dimensions it has",
                    "give its shape with --shapes=" + input.name() + ":...");
      }
      type.shape.assign(fixed->begin(), fixed->end());
      return type;
    }
    if (static_cast<size_t>(proto.shape().dim_size()) > kMaxRank) {
      throw Error(ErrorCode::kInvalid, "the input has too many dimensions");
    }
    for (int axis = 0; axis < proto.shape().dim_size(); ++axis) {
      type.shape.push_back(extent_of(proto.shape().dim(axis), input.name(), axis));
    }
    if (fixed != nullptr) fix(type.shape, *fixed, input.name());
    return type;
  }

  Dim extent_of(const TensorShapeProto::Dimension& dim, const std::string& input, int axis) {
    if (dim.has_dim_value() && dim.dim_value() >= 0) return dim.dim_value();
    if (dim.has_dim_value() && dim.dim_value() != -1) {
      throw Error(ErrorCode::kInvalid, "the dimension " + std::to_string(axis) +
                                           " is negative: " + std::to_string(dim.dim_value()));
    }
    const std::string& name = dim.dim_param();
    if (!is_name(name)) return Dim::symbol(symbols_.of(input + "." + std::to_string(axis)));
    if (const auto expression = expression_of(name)) return *expression;
    return Dim::symbol(symbols_.of(name));
  }

  // "sequence + past": an expression where each of its names is some input's dimension.
  std::optional<Dim> expression_of(const std::string& text) {
    if (is_plain_name(text)) return std::nullopt;
    try {
      const Dim dim = Dim::parse(text);
      std::set<std::string, std::less<>> symbols;
      dim.collect_symbols(symbols);
      std::map<std::string, Dim, std::less<>> values;
      for (const std::string& symbol : symbols) {
        if (!names_.contains(symbol)) return std::nullopt;
        values.emplace(symbol, Dim::symbol(symbols_.of(symbol)));
      }
      if (symbols.empty()) return std::nullopt;
      return dim.substitute(values);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  // Notes what a static shape says of the dimensions.
  void fix(const Shape& shape, const std::vector<int64_t>& fixed, const std::string& input) {
    const auto fail = [&](const std::string& why) {
      return Error(ErrorCode::kUsage, "the shape given for " + quote(input) + " " + why,
                   "the model's input is " + text_of(shape));
    };
    if (fixed.size() != shape.size()) {
      throw fail("has " + std::to_string(fixed.size()) + " dimensions");
    }
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const int64_t extent = fixed[axis];
      const std::string place = "dimension " + std::to_string(axis);
      if (extent < -1) throw fail("is negative in " + place);
      if (extent == -1 || shape[axis].is(extent)) continue;
      if (shape[axis].is_constant()) {
        throw fail("has " + std::to_string(extent) + " in " + place + ", the model has " +
                   shape[axis].text());
      }
      fixed_.push_back({shape[axis], extent, "the shape given for input " + quote(input)});
      std::set<std::string, std::less<>> symbols;
      shape[axis].collect_symbols(symbols);
      if (symbols.size() != 1 || shape[axis] != Dim::symbol(*symbols.begin())) continue;
      const auto [it, is_new] = values_.try_emplace(*symbols.begin(), Dim(extent));
      if (!is_new && it->second != Dim(extent)) {
        throw fail("makes the dimension " + quote(it->first) + " " + std::to_string(extent) +
                   ", another input's shape makes it " + it->second.text());
      }
    }
  }

  void substitute() {
    for (InputType& input : types_.inputs) {
      for (Dim& extent : input.type.shape) {
        const Dim before = extent;
        extent = extent.substitute(values_);
        for (const SizeGuard& guard : fixed_) {
          if (guard.a == before) extent = guard.b;
        }
      }
    }
    for (const SizeGuard& guard : fixed_) {
      const Dim value = guard.a.substitute(values_);
      const auto equal = provably_equal(value, guard.b);
      if (equal == std::optional(false)) {
        throw Error(ErrorCode::kUsage, guard.where + " has " + guard.b.text() +
                                           " where the model has " + guard.a.text() +
                                           ", which is " + value.text());
      }
      if (!equal) types_.guards.push_back({value, guard.b, guard.where});
    }
  }

  const ImportOptions& options_;
  std::vector<const ValueInfoProto*> protos_;
  std::set<std::string, std::less<>> names_;
  SymbolNames symbols_;
  std::map<std::string, Dim, std::less<>> values_;
  std::vector<SizeGuard> fixed_;
  InputTypes types_;
};

}  // namespace

InputTypes input_types(const ::onnx::GraphProto& graph, const ImportOptions& options) {
  return InputReader(graph, options).run();
}

void check_declared(const ValueInfoProto& declared, const TensorType& inferred) {
  if (!declared.type().has_tensor_type()) return;
  const auto& proto = declared.type().tensor_type();
  const auto fail = [&](const std::string& what) {
    return Error(ErrorCode::kInvalid,
                 "the model declares that " + quote(declared.name()) + " has " + what +
                     ", but it is " + inferred.text(),
                 "export the model again; onnx.shape_inference shows what fits");
  };
  if (proto.elem_type() != 0 && dtype_of(proto.elem_type()) != inferred.dtype) {
    throw fail("the element type " + onnx_type_name(proto.elem_type()));
  }
  if (!proto.has_shape()) return;
  if (static_cast<size_t>(proto.shape().dim_size()) != inferred.rank()) {
    throw fail(std::to_string(proto.shape().dim_size()) + " dimensions");
  }
  for (size_t axis = 0; axis < inferred.rank(); ++axis) {
    const auto& dim = proto.shape().dim(static_cast<int>(axis));
    if (!dim.has_dim_value() || dim.dim_value() < 0) continue;
    if (provably_equal(inferred.shape[axis], dim.dim_value()) == std::optional(false)) {
      throw fail(std::to_string(dim.dim_value()) + " in dimension " + std::to_string(axis));
    }
  }
}

}  // namespace cleave::onnx
