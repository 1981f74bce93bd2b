#include "backend/cpu/fused_loop.h"

#include <algorithm>
#include <utility>

namespace cleave::backend {
namespace {

using simd::Binary;
using simd::Compare;
using simd::Logical;
using simd::Unary;

constexpr std::pair<std::string_view, Unary> kUnaryOps[] = {{"neg", Unary::kNeg},
                                                            {"abs", Unary::kAbs},
                                                            {"exp", Unary::kExp},
                                                            {"log", Unary::kLog},
                                                            {"sqrt", Unary::kSqrt},
                                                            {"rsqrt", Unary::kRsqrt},
                                                            {"reciprocal", Unary::kReciprocal},
                                                            {"tanh", Unary::kTanh},
                                                            {"erf", Unary::kErf},
                                                            {"sigmoid", Unary::kSigmoid},
                                                            {"relu", Unary::kRelu},
                                                            {"sin", Unary::kSin},
                                                            {"cos", Unary::kCos},
                                                            {"floor", Unary::kFloor},
                                                            {"ceil", Unary::kCeil},
                                                            {"round", Unary::kRound},
                                                            {"sign", Unary::kSign},
                                                            {"gelu", Unary::kGelu},
                                                            {"gelu_tanh", Unary::kGeluTanh},
                                                            {"silu", Unary::kSilu},
                                                            {"softplus", Unary::kSoftplus},
                                                            {"leaky_relu", Unary::kLeakyRelu},
                                                            {"elu", Unary::kElu},
                                                            {"hard_sigmoid", Unary::kHardSigmoid},
                                                            {"hard_swish", Unary::kHardSwish}};
constexpr std::pair<std::string_view, Binary> kBinaryOps[] = {
    {"add", Binary::kAdd}, {"sub", Binary::kSub}, {"mul", Binary::kMul}, {"div", Binary::kDiv},
    {"pow", Binary::kPow}, {"min", Binary::kMin}, {"max", Binary::kMax}, {"mod", Binary::kMod}};
constexpr std::pair<std::string_view, Compare> kCompareOps[] = {
    {"equal", Compare::kEqual},
    {"less", Compare::kLess},
    {"less_equal", Compare::kLessEqual},
    {"greater", Compare::kGreater},
    {"greater_equal", Compare::kGreaterEqual}};
constexpr std::pair<std::string_view, Logical> kLogicalOps[] = {
    {"and", Logical::kAnd}, {"or", Logical::kOr}, {"xor", Logical::kXor}};

template <class Entry, size_t kCount>
const Entry* entry(const Entry (&list)[kCount], std::string_view name) {
  const Entry* found = std::find_if(list, list + kCount, [&](auto& e) { return e.first == name; });
  return found == list + kCount ? nullptr : found;
}

// False where there is none.
bool select(FusedLoop& loop, const FusedStep& source, std::span<const DType> arguments,
            const simd::Table& table) {
  using Kind = FusedLoop::Kind;
  const DType type = working_type(arguments[0]);
  const DType result = working_type(source.type);
  const bool is_float = type == DType::kFloat32;
  const bool same = std::all_of(arguments.begin(), arguments.end(),
                                [&](DType other) { return working_type(other) == type; });
  loop.args = static_cast<int>(arguments.size());
  loop.alpha = static_cast<float>(source.alpha);
  loop.wide_alpha = source.alpha;
  if (source.op == "where") {
    if (loop.args != 3 || type != DType::kBool || working_type(arguments[1]) != result ||
        working_type(arguments[2]) != result) {
      return false;
    }
    loop.kind = result == DType::kFloat32 ? Kind::kWhere : Kind::kGeneric;
    loop.generic = where_loop(result);
    return true;
  }
  if (!same || loop.args > 2) return false;
  if (source.op == "cast") {
    loop.generic = cast_loop(type, result);
    return loop.args == 1;
  }
  if (const auto* op = entry(kCompareOps, source.op)) {
    loop.kind = is_float ? Kind::kCompare : Kind::kGeneric;
    loop.compare = table.compare[static_cast<size_t>(op->second)];
    loop.generic = compare_loop(source.op, type);
    return loop.args == 2 && result == DType::kBool && loop.generic != nullptr;
  }
  if (const auto* op = entry(kLogicalOps, source.op)) {
    loop.kind = Kind::kLogical;
    loop.logical = table.logical[static_cast<size_t>(op->second)];
    return loop.args == 2 && type == DType::kBool && result == DType::kBool;
  }
  if (source.op == "not") {
    loop.kind = Kind::kNot;
    return loop.args == 1 && type == DType::kBool && result == DType::kBool;
  }
  if (source.op == "is_nan") {
    loop.kind = is_float ? Kind::kIsNan : Kind::kGeneric;
    loop.generic = is_float ? nullptr : compare_loop(source.op, type);
    return loop.args == 1 && result == DType::kBool && (is_float || loop.generic != nullptr);
  }
  if (result != type) return false;
  const auto* unary = entry(kUnaryOps, source.op);
  const auto* binary = entry(kBinaryOps, source.op);
  if (!is_float || (unary == nullptr && binary == nullptr)) {
    loop.generic = arithmetic_loop(source.op, type);
    return loop.generic != nullptr;
  }
  if (loop.args != (unary != nullptr ? 1 : 2)) return false;
  loop.kind = unary != nullptr ? Kind::kUnary : Kind::kBinary;
  if (unary != nullptr) loop.unary = table.unary[static_cast<size_t>(unary->second)];
  if (binary != nullptr) loop.binary = table.binary[static_cast<size_t>(binary->second)];
  return true;
}

}  // namespace

std::optional<FusedLoop> FusedLoop::find(const FusedStep& step, std::span<const DType> arguments,
                                         const simd::Table& table) {
  FusedLoop loop;
  if (!select(loop, step, arguments, table)) return std::nullopt;
  return loop;
}

void FusedLoop::run(const simd::Table& table, const LoopOperand* in, int64_t count,
                    std::byte* to) const {
  const auto floats = [&](int i) { return reinterpret_cast<const float*>(in[i].data); };
  const auto bools = [&](int i) { return reinterpret_cast<const uint8_t*>(in[i].data); };
  auto* result = reinterpret_cast<float*>(to);
  auto* result_bool = reinterpret_cast<uint8_t*>(to);
  switch (kind) {
    case Kind::kUnary:
      return unary(floats(0), result, count, alpha);
    case Kind::kBinary:
      return binary(floats(0), in[0].step, floats(1), in[1].step, result, count);
    case Kind::kCompare:
      return compare(floats(0), in[0].step, floats(1), in[1].step, result_bool, count);
    case Kind::kLogical:
      return logical(bools(0), in[0].step, bools(1), in[1].step, result_bool, count);
    case Kind::kNot:
      return table.logical_not(bools(0), result_bool, count);
    case Kind::kIsNan:
      return table.is_nan(floats(0), result_bool, count);
    case Kind::kWhere:
      return table.where(bools(0), in[0].step, floats(1), in[1].step, floats(2), in[2].step, result,
                         count);
    case Kind::kRoundHalf:
    case Kind::kRoundBFloat16: {
      // Block by block, so that the 16-bit values need no slot of their own.
      uint16_t bits[256];
      const bool half = kind == Kind::kRoundHalf;
      for (int64_t i = 0; i < count; i += 256) {
        const int64_t size = std::min<int64_t>(256, count - i);
        (half ? table.float_to_half : table.float_to_bfloat16)(floats(0) + i, bits, size);
        (half ? table.half_to_float : table.bfloat16_to_float)(bits, result + i, size);
      }
      return;
    }
    case Kind::kGeneric: {
      LoopCall call{.result = to, .count = count, .alpha = wide_alpha};
      for (int i = 0; i < args; ++i) {
        call.operands[i] = in[i].data;
        call.steps[i] = in[i].step;
      }
      return generic(call);
    }
  }
}

int64_t fused_cost(std::string_view op) {
  for (const char* costly : {"exp", "log", "tanh", "erf", "sigmoid", "gelu", "gelu_tanh", "silu",
                             "softplus", "elu", "sin", "cos"}) {
    if (op == costly) return 6;
  }
  for (const char* slow :
       {"pow", "mod", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"}) {
    if (op == slow) return 20;
  }
  return 1;
}

}  // namespace cleave::backend
