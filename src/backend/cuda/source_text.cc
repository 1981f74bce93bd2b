#include "backend/cuda/source_text.h"

#include <array>
#include <bit>
#include <string_view>

#include "base/check.h"

namespace cleave::backend {
namespace {

template <size_t kCount>
bool contains(const std::array<std::string_view, kCount>& list, std::string_view op) {
  for (std::string_view one : list) {
    if (one == op) return true;
  }
  return false;
}

constexpr std::array<std::string_view, 31> kFloatOps = {
    "neg",        "abs",   "sign", "relu",      "exp",   "log",      "sqrt",      "rsqrt",
    "reciprocal", "tanh",  "erf",  "sigmoid",   "sin",   "cos",      "tan",       "asin",
    "acos",       "atan",  "sinh", "cosh",      "asinh", "acosh",    "atanh",     "floor",
    "ceil",       "round", "gelu", "gelu_tanh", "silu",  "softplus", "hard_swish"};
constexpr std::array<std::string_view, 3> kAlphaOps = {"leaky_relu", "elu", "hard_sigmoid"};
constexpr std::array<std::string_view, 8> kArithmetic = {"add", "sub", "mul", "div",
                                                         "pow", "min", "max", "mod"};
constexpr std::array<std::string_view, 9> kIntegerOps = {
    "neg", "abs", "sign", "relu", "bit_not", "bit_and", "bit_or", "bit_xor", "shift_left"};
constexpr std::array<std::string_view, 5> kCompare = {"equal", "less", "less_equal", "greater",
                                                      "greater_equal"};
constexpr std::array<std::string_view, 4> kLogic = {"not", "and", "or", "xor"};

bool has_code(const FusedStep& step, const std::vector<DType>& arguments) {
  const std::string_view op = step.op;
  const DType type = arguments.at(0);
  if (op == "cast" || op == "rank_zero" || op == "where") return true;
  if (contains(kCompare, op)) return type != DType::kBool || op == "equal";
  if (contains(kLogic, op)) return type == DType::kBool;
  if (op == "is_nan") return is_floating(type);
  if (contains(kArithmetic, op)) return type != DType::kBool;
  if (is_floating(type)) return contains(kFloatOps, op) || contains(kAlphaOps, op);
  return type != DType::kBool && (contains(kIntegerOps, op) || op == "shift_right");
}

// Every bit of the number, infinities included.
std::string literal(double value) {
  return "__longlong_as_double(" + std::to_string(std::bit_cast<int64_t>(value)) + "LL)";
}

std::string name_of_value(int32_t value) { return "v" + std::to_string(value); }

std::string working(DType type) { return "Working<" + device_type(type) + ">"; }

}  // namespace

std::string device_type(DType type) {
  switch (type) {
    case DType::kFloat32:
      return "float";
    case DType::kFloat64:
      return "double";
    case DType::kFloat16:
      return "Half";
    case DType::kBFloat16:
      return "BFloat16";
    case DType::kInt8:
      return "int8_t";
    case DType::kInt16:
      return "int16_t";
    case DType::kInt32:
      return "int32_t";
    case DType::kInt64:
      return "int64_t";
    case DType::kUInt8:
      return "uint8_t";
    case DType::kUInt16:
      return "uint16_t";
    case DType::kUInt32:
      return "uint32_t";
    case DType::kUInt64:
      return "uint64_t";
    case DType::kBool:
      return "bool";
  }
  internal_error("no such type", __FILE__, __LINE__);
}

std::optional<std::string> refuse_chain(const FusedProgram& program,
                                        std::span<const DType> inputs) {
  if (static_cast<size_t>(program.inputs) != inputs.size()) {
    return "the chain takes " + std::to_string(program.inputs) + " operands, not " +
           std::to_string(inputs.size());
  }
  std::vector<DType> types(inputs.begin(), inputs.end());
  for (const FusedStep& step : program.steps) {
    std::vector<DType> arguments;
    for (int32_t arg : step.args) arguments.push_back(types.at(static_cast<size_t>(arg)));
    if (!has_code(step, arguments)) {
      std::string reason = "no device code for " + step.op + " of";
      for (DType type : arguments) reason += " " + std::string(name_of(type));
      return reason + " to " + std::string(name_of(step.type));
    }
    types.push_back(step.type);
  }
  return std::nullopt;
}

std::string chain_source(const FusedProgram& program, std::span<const DType> inputs, int64_t rank) {
  std::vector<DType> types(inputs.begin(), inputs.end());
  for (const FusedStep& step : program.steps) types.push_back(step.type);
  std::string out = "__device__ __forceinline__ void chain(";
  for (size_t i = 0; i < inputs.size(); ++i) {
    out += "const " + working(inputs[i]) + " v" + std::to_string(i) + ", ";
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const auto value = static_cast<size_t>(program.outputs[i]);
    out += working(types[value]) + "& y" + std::to_string(i) +
           (i + 1 < program.outputs.size() ? ", " : "");
  }
  out += ") {\n";
  for (size_t s = 0; s < program.steps.size(); ++s) {
    const FusedStep& step = program.steps[s];
    const std::string type = working(step.type);
    const std::string first = name_of_value(step.args.at(0));
    out += "  const " + type + " v" + std::to_string(inputs.size() + s) + " = ";
    if (step.op == "rank_zero") {
      out += rank == 0 ? first : type + "(0)";
    } else if (step.op == "cast") {
      const std::string cast = "cast_to<" + type + ">(" + first + ")";
      // What is cast to a 16-bit type has its precision from there on.
      const bool rounds = step.type == DType::kFloat16 || step.type == DType::kBFloat16;
      out += rounds ? "widen(narrow<" + device_type(step.type) + ">(" + cast + "))" : cast;
    } else {
      out += "op_" + step.op + "(";
      for (size_t i = 0; i < step.args.size(); ++i) {
        out += (i > 0 ? ", " : "") + name_of_value(step.args[i]);
      }
      if (contains(kAlphaOps, step.op)) out += ", " + literal(step.alpha);
      out += ")";
    }
    out += ";\n";
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    out += "  y" + std::to_string(i) + " = " + name_of_value(program.outputs[i]) + ";\n";
  }
  return out + "}\n";
}

}  // namespace cleave::backend
