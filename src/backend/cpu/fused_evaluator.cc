#include "backend/cpu/fused_evaluator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"

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
                                                            {"elu", Unary::kElu}};
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
const Entry* find(const Entry (&list)[kCount], std::string_view name) {
  const Entry* found = std::find_if(list, list + kCount, [&](auto& e) { return e.first == name; });
  return found == list + kCount ? nullptr : found;
}

alignas(64) constexpr std::byte kZeros[64] = {};

// A tile's values stay in the first-level cache; 24 of 32 KiB leave room for what streams by.
constexpr int64_t kCacheBytes = 24 * 1024;
constexpr int64_t kLargestTile = 1024;
constexpr int64_t kSmallestTile = 64;
constexpr int64_t kStackBytes = 48 * 1024;

// The value's type where elements lie in memory, and their copy by size.
void gather(const void* from, int64_t stride, std::byte* to, int64_t count, size_t size) {
  const auto copy = [&]<class T>(T) {
    const T* x = static_cast<const T*>(from);
    T* y = reinterpret_cast<T*>(to);
    for (int64_t i = 0; i < count; ++i) y[i] = x[i * stride];
  };
  switch (size) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    default:
      return copy(uint64_t{});
  }
}

void scatter(const std::byte* from, int64_t step, void* to, int64_t stride, int64_t count,
             size_t size) {
  const auto copy = [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(from);
    T* y = static_cast<T*>(to);
    for (int64_t i = 0; i < count; ++i) y[i * stride] = x[i * step];
  };
  switch (size) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    default:
      return copy(uint64_t{});
  }
}

int64_t cost_of(std::string_view op) {
  for (const char* costly : {"exp", "log", "tanh", "erf", "sigmoid", "gelu", "gelu_tanh", "silu",
                             "softplus", "elu", "sin", "cos"}) {
    if (op == costly) return 6;
  }
  return op == "pow" || op == "mod" ? 20 : 1;
}

}  // namespace

bool FusedEvaluator::select(Step& step, const FusedStep& source, std::span<const DType> arguments,
                            const simd::Table& table) {
  const DType type = working_type(arguments[0]);
  const DType result = working_type(source.type);
  const bool is_float = type == DType::kFloat32;
  const bool same = std::all_of(arguments.begin(), arguments.end(),
                                [&](DType other) { return working_type(other) == type; });
  step.args = static_cast<int>(arguments.size());
  step.alpha = static_cast<float>(source.alpha);
  step.wide_alpha = source.alpha;
  if (source.op == "where") {
    if (step.args != 3 || type != DType::kBool || working_type(arguments[1]) != result ||
        working_type(arguments[2]) != result) {
      return false;
    }
    step.kind = result == DType::kFloat32 ? Kind::kWhere : Kind::kGeneric;
    step.generic = where_loop(result);
    return true;
  }
  if (!same || step.args > 2) return false;
  if (source.op == "cast") {
    step.generic = cast_loop(type, result);
    return step.args == 1;
  }
  if (const auto* op = find(kCompareOps, source.op)) {
    step.kind = is_float ? Kind::kCompare : Kind::kGeneric;
    step.compare = table.compare[static_cast<size_t>(op->second)];
    step.generic = compare_loop(source.op, type);
    return step.args == 2 && result == DType::kBool && step.generic != nullptr;
  }
  if (const auto* op = find(kLogicalOps, source.op)) {
    step.kind = Kind::kLogical;
    step.logical = table.logical[static_cast<size_t>(op->second)];
    return step.args == 2 && type == DType::kBool && result == DType::kBool;
  }
  if (source.op == "not") {
    step.kind = Kind::kNot;
    return step.args == 1 && type == DType::kBool && result == DType::kBool;
  }
  if (source.op == "is_nan") {
    step.kind = is_float ? Kind::kIsNan : Kind::kGeneric;
    step.generic = is_float ? nullptr : compare_loop(source.op, type);
    return step.args == 1 && result == DType::kBool && (is_float || step.generic != nullptr);
  }
  if (result != type) return false;
  const auto* unary = find(kUnaryOps, source.op);
  const auto* binary = find(kBinaryOps, source.op);
  if (step.args != (unary != nullptr ? 1 : 2) || (unary == nullptr && binary == nullptr)) {
    return false;
  }
  if (!is_float) {
    step.generic = arithmetic_loop(source.op, type);
    return step.generic != nullptr;
  }
  step.kind = unary != nullptr ? Kind::kUnary : Kind::kBinary;
  if (unary != nullptr) step.unary = table.unary[static_cast<size_t>(unary->second)];
  if (binary != nullptr) step.binary = table.binary[static_cast<size_t>(binary->second)];
  return true;
}

std::optional<std::string> FusedEvaluator::refuses(const FusedProgram& program,
                                                   std::span<const DType> inputs,
                                                   std::span<const DType> outputs) {
  if (static_cast<size_t>(program.inputs) != inputs.size()) {
    return "the chain takes " + std::to_string(program.inputs) + " operands, not " +
           std::to_string(inputs.size());
  }
  if (program.outputs.size() != outputs.size()) return "the chain has other results";
  std::vector<DType> types(inputs.begin(), inputs.end());
  for (const FusedStep& step : program.steps) {
    std::vector<DType> arguments;
    for (int32_t arg : step.args) arguments.push_back(types.at(static_cast<size_t>(arg)));
    Step selected;
    const bool known = step.op == "rank_zero" ? arguments.size() == 1
                                              : select(selected, step, arguments, simd::best());
    if (!known) {
      std::string reason = "no loop for " + step.op + " of";
      for (DType type : arguments) reason += " " + std::string(name_of(type));
      return reason + " to " + std::string(name_of(step.type));
    }
    types.push_back(step.type);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const DType type = types.at(static_cast<size_t>(program.outputs[i]));
    if (working_type(type) != working_type(outputs[i])) return "a result is of another type";
  }
  return std::nullopt;
}

FusedEvaluator::FusedEvaluator(const FusedProgram& program, std::span<const DType> inputs,
                               std::span<const DType> outputs, int64_t rank,
                               const simd::Table& table)
    : table_(table),
      input_types_(inputs.begin(), inputs.end()),
      value_types_(inputs.begin(), inputs.end()) {
  for (size_t i = 0; i < inputs.size(); ++i) alias_.push_back(static_cast<int32_t>(i));
  for (const FusedStep& step : program.steps) {
    const auto result = static_cast<int32_t>(value_types_.size());
    value_types_.push_back(step.type);
    cost_ += cost_of(step.op);
    const auto arg = static_cast<size_t>(step.args.at(0));
    if (step.op == "rank_zero") {
      alias_.push_back(rank == 0 ? alias_[arg] : -1);
    } else {
      alias_.push_back(result);
      add_step(step, result);
    }
  }
  std::vector<int32_t> values;
  for (size_t i = 0; i < outputs.size(); ++i) {
    values.push_back(alias_[static_cast<size_t>(program.outputs[i])]);
    outputs_.push_back({values.back(), outputs[i]});
  }
  assign_slots(values);
}

void FusedEvaluator::add_step(const FusedStep& source, int32_t result) {
  Step step;
  std::vector<DType> arguments;
  for (size_t i = 0; i < source.args.size(); ++i) {
    arguments.push_back(value_types_[static_cast<size_t>(source.args[i])]);
    step.values[i] = alias_[static_cast<size_t>(source.args[i])];
  }
  CLEAVE_CHECK(select(step, source, arguments, table_), "a chain that was not refused");
  step.result = result;
  const bool rounds = source.op == "cast" && source.type != working_type(source.type);
  if (!rounds || working_type(arguments[0]) != DType::kFloat32) steps_.push_back(step);
  if (!rounds) return;
  if (working_type(arguments[0]) != DType::kFloat32) step.values[0] = result;
  step.kind = source.type == DType::kFloat16 ? Kind::kRoundHalf : Kind::kRoundBFloat16;
  steps_.push_back(step);
}

// Slots: one an input, then those of the steps, reused when their value has been read for the last
// time, then one for conversions. Two slots of a step's operands may not be its result's: loops
// with results of another size would overwrite what they have yet to read.
void FusedEvaluator::assign_slots(const std::vector<int32_t>& outputs) {
  const size_t values = value_types_.size();
  std::vector<size_t> last_use(values, 0);
  size_t last_input_read = 0;
  for (size_t s = 0; s < steps_.size(); ++s) {
    for (int i = 0; i < steps_[s].args; ++i) {
      const int32_t value = steps_[s].values[i];
      if (value < 0) continue;
      last_use[static_cast<size_t>(value)] = s;
      if (static_cast<size_t>(value) < input_types_.size()) last_input_read = s;
    }
  }
  for (int32_t value : outputs) {
    if (value < 0) continue;
    last_use[static_cast<size_t>(value)] = steps_.size();
    if (static_cast<size_t>(value) < input_types_.size()) last_input_read = steps_.size();
  }
  slots_ = static_cast<int64_t>(input_types_.size());
  std::vector<int32_t> free;
  std::vector<int32_t> slot_of(values, -1);
  for (size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    int32_t& slot = slot_of[static_cast<size_t>(step.result)];
    if (slot < 0) {
      if (free.empty()) free.push_back(static_cast<int32_t>(slots_++));
      slot = free.back();
      free.pop_back();
    }
    step.slot = slot;
    for (int i = 0; i < step.args; ++i) {
      const int32_t value = step.values[i];
      if (value < static_cast<int32_t>(input_types_.size()) || value == step.result) continue;
      if (last_use[static_cast<size_t>(value)] != s) continue;
      int32_t& done = slot_of[static_cast<size_t>(value)];
      if (done >= 0) free.push_back(done);
      done = -1;
    }
    // An output may lie over an input: it is written directly once no input is read any more.
    for (size_t i = 0; i < outputs_.size() && s >= last_input_read; ++i) {
      if (outputs_[i].value == step.result && working_type(outputs_[i].type) == outputs_[i].type) {
        step.direct_output = static_cast<int32_t>(i);
        break;
      }
    }
  }
  ++slots_;
  for (DType type : value_types_) {
    element_bytes_ = std::max(element_bytes_, static_cast<int64_t>(size_of(working_type(type))));
  }
  tile_ =
      std::clamp(kCacheBytes / (slots_ * element_bytes_) / 16 * 16, kSmallestTile, kLargestTile);
}

void FusedEvaluator::run(int64_t count, std::span<const InputSpan> inputs,
                         std::span<const OutputSpan> outputs) const {
  constexpr size_t kPlaces = 64;
  alignas(64) std::byte stack[kStackBytes];
  std::array<Place, kPlaces> few;
  std::unique_ptr<std::byte[]> heap;
  std::vector<Place> many;
  std::byte* scratch = stack;
  Place* places = few.data();
  if (slots_ * tile_ * element_bytes_ > kStackBytes) {
    heap = std::make_unique<std::byte[]>(
        static_cast<size_t>(slots_ * tile_ * element_bytes_));  // chains of over 100 values
    scratch = heap.get();
  }
  if (value_types_.size() > kPlaces) {
    many.resize(value_types_.size());
    places = many.data();
  }
  for (int64_t begin = 0; begin < count; begin += tile_) {
    run_tile(begin, std::min(tile_, count - begin), inputs, outputs, scratch, places);
  }
}

void FusedEvaluator::run_tile(int64_t begin, int64_t count, std::span<const InputSpan> inputs,
                              std::span<const OutputSpan> outputs, std::byte* scratch,
                              Place* places) const {
  for (size_t i = 0; i < input_types_.size(); ++i) {
    places[i] = load(i, inputs[i], begin, count, scratch);
  }
  for (const Step& step : steps_) {
    int64_t steps = 0;
    for (int i = 0; i < step.args; ++i) {
      if (step.values[i] >= 0) steps |= places[step.values[i]].step;
    }
    std::byte* to = slot(scratch, step.slot);
    if (step.direct_output >= 0 && steps != 0) {
      const auto output = static_cast<size_t>(step.direct_output);
      if (outputs[output].stride == 1) {
        to = static_cast<std::byte*>(outputs[output].data) +
             begin * static_cast<int64_t>(size_of(outputs_[output].type));
      }
    }
    execute(step, steps != 0 ? count : 1, places, to);
    places[step.result] = {to, steps};
  }
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const int32_t value = outputs_[i].value;
    store(outputs_[i], value < 0 ? Place{kZeros, 0} : places[value], outputs[i], begin, count,
          scratch);
  }
}

FusedEvaluator::Place FusedEvaluator::load(size_t input, const InputSpan& span, int64_t begin,
                                           int64_t count, std::byte* scratch) const {
  const DType type = input_types_[input];
  const size_t size = size_of(type);
  const auto* data =
      static_cast<const std::byte*>(span.data) + begin * span.stride * static_cast<int64_t>(size);
  const int64_t step = span.stride == 0 ? 0 : 1;
  const int64_t wanted = step == 0 ? 1 : count;
  const bool converts = working_type(type) != type;
  if (span.stride > 1 || span.stride < 0) {
    std::byte* gathered = slot(scratch, converts ? conversion_slot() : static_cast<int64_t>(input));
    gather(data, span.stride, gathered, wanted, size);
    data = gathered;
  }
  if (!converts) return {data, step};
  auto* to = reinterpret_cast<float*>(slot(scratch, static_cast<int64_t>(input)));
  const auto* from = reinterpret_cast<const uint16_t*>(data);
  if (type == DType::kFloat16) {
    table_.half_to_float(from, to, wanted);
  } else {
    table_.bfloat16_to_float(from, to, wanted);
  }
  return {reinterpret_cast<std::byte*>(to), step};
}

void FusedEvaluator::execute(const Step& step, int64_t count, const Place* places,
                             std::byte* to) const {
  Place in[3];
  for (int i = 0; i < step.args; ++i) {
    in[i] = step.values[i] < 0 ? Place{kZeros, 0} : places[step.values[i]];
  }
  const auto floats = [&](int i) { return reinterpret_cast<const float*>(in[i].data); };
  const auto bools = [&](int i) { return reinterpret_cast<const uint8_t*>(in[i].data); };
  auto* result = reinterpret_cast<float*>(to);
  auto* result_bool = reinterpret_cast<uint8_t*>(to);
  switch (step.kind) {
    case Kind::kUnary:
      return step.unary(floats(0), result, count, step.alpha);
    case Kind::kBinary:
      return step.binary(floats(0), in[0].step, floats(1), in[1].step, result, count);
    case Kind::kCompare:
      return step.compare(floats(0), in[0].step, floats(1), in[1].step, result_bool, count);
    case Kind::kLogical:
      return step.logical(bools(0), in[0].step, bools(1), in[1].step, result_bool, count);
    case Kind::kNot:
      return table_.logical_not(bools(0), result_bool, count);
    case Kind::kIsNan:
      return table_.is_nan(floats(0), result_bool, count);
    case Kind::kWhere:
      return table_.where(bools(0), in[0].step, floats(1), in[1].step, floats(2), in[2].step,
                          result, count);
    case Kind::kRoundHalf:
    case Kind::kRoundBFloat16: {
      // Block by block, so that the 16-bit values need no slot of their own.
      uint16_t bits[256];
      const bool half = step.kind == Kind::kRoundHalf;
      for (int64_t i = 0; i < count; i += 256) {
        const int64_t size = std::min<int64_t>(256, count - i);
        (half ? table_.float_to_half : table_.float_to_bfloat16)(floats(0) + i, bits, size);
        (half ? table_.half_to_float : table_.bfloat16_to_float)(bits, result + i, size);
      }
      return;
    }
    case Kind::kGeneric: {
      LoopCall call{.result = to, .count = count, .alpha = step.wide_alpha};
      for (int i = 0; i < step.args; ++i) {
        call.operands[i] = in[i].data;
        call.steps[i] = in[i].step;
      }
      return step.generic(call);
    }
  }
}

void FusedEvaluator::store(const Output& output, const Place& place, const OutputSpan& span,
                           int64_t begin, int64_t count, std::byte* scratch) const {
  const size_t size = size_of(output.type);
  auto* to = static_cast<std::byte*>(span.data) + begin * span.stride * static_cast<int64_t>(size);
  if (place.data == to) return;  // written directly
  const std::byte* data = place.data;
  if (working_type(output.type) != output.type) {
    auto* bits = reinterpret_cast<uint16_t*>(
        span.stride == 1 && place.step == 1 ? to : slot(scratch, conversion_slot()));
    const auto* from = reinterpret_cast<const float*>(data);
    const int64_t wanted = place.step == 0 ? 1 : count;
    if (output.type == DType::kFloat16) {
      table_.float_to_half(from, bits, wanted);
    } else {
      table_.float_to_bfloat16(from, bits, wanted);
    }
    data = reinterpret_cast<const std::byte*>(bits);
    if (data == to) return;
  }
  if (place.step == 1 && span.stride == 1) {
    std::memmove(to, data, static_cast<size_t>(count) * size);
  } else {
    scatter(data, place.step, to, span.stride, count, size);
  }
}

}  // namespace cleave::backend
