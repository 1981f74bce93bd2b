#include "backend/cpu/fused_evaluator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "backend/cpu/element_size.h"
#include "base/check.h"

namespace cleave::backend {
namespace {

alignas(64) constexpr std::byte kZeros[64] = {};

// A tile's values stay in the first-level cache; 24 of 32 KiB leave room for what streams by.
constexpr int64_t kCacheBytes = 24 * 1024;
constexpr int64_t kLargestTile = 1024;
constexpr int64_t kSmallestTile = 64;
constexpr int64_t kStackBytes = 48 * 1024;

}  // namespace

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
    const bool known = step.op == "rank_zero"
                           ? arguments.size() == 1
                           : FusedLoop::find(step, arguments, simd::best()).has_value();
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
    cost_ += fused_cost(step.op);
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
  const auto loop = FusedLoop::find(source, arguments, table_);
  CLEAVE_CHECK(loop.has_value(), "a chain that was not refused");
  step.loop = *loop;
  step.result = result;
  const bool rounds = source.op == "cast" && source.type != working_type(source.type);
  if (!rounds || working_type(arguments[0]) != DType::kFloat32) steps_.push_back(step);
  if (!rounds) return;
  if (working_type(arguments[0]) != DType::kFloat32) step.values[0] = result;
  step.loop.kind = source.type == DType::kFloat16 ? FusedLoop::Kind::kRoundHalf
                                                  : FusedLoop::Kind::kRoundBFloat16;
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
    for (int i = 0; i < steps_[s].loop.args; ++i) {
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
    for (int i = 0; i < step.loop.args; ++i) {
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
  std::array<LoopOperand, kPlaces> few;
  std::unique_ptr<std::byte[]> heap;
  std::vector<LoopOperand> many;
  std::byte* scratch = stack;
  LoopOperand* places = few.data();
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
                              LoopOperand* places) const {
  for (size_t i = 0; i < input_types_.size(); ++i) {
    places[i] = load(i, inputs[i], begin, count, scratch);
  }
  for (const Step& step : steps_) {
    int64_t steps = 0;
    for (int i = 0; i < step.loop.args; ++i) {
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
    store(outputs_[i], value < 0 ? LoopOperand{kZeros, 0} : places[value], outputs[i], begin, count,
          scratch);
  }
}

LoopOperand FusedEvaluator::load(size_t input, const InputSpan& span, int64_t begin, int64_t count,
                                 std::byte* scratch) const {
  const DType type = input_types_[input];
  const size_t size = size_of(type);
  const auto* data =
      static_cast<const std::byte*>(span.data) + begin * span.stride * static_cast<int64_t>(size);
  const int64_t step = span.stride == 0 ? 0 : 1;
  const int64_t wanted = step == 0 ? 1 : count;
  const bool converts = working_type(type) != type;
  if (span.stride > 1 || span.stride < 0) {
    std::byte* gathered = slot(scratch, converts ? conversion_slot() : static_cast<int64_t>(input));
    copy_elements(data, span.stride, gathered, 1, wanted, size);
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

void FusedEvaluator::execute(const Step& step, int64_t count, const LoopOperand* places,
                             std::byte* to) const {
  LoopOperand in[3];
  for (int i = 0; i < step.loop.args; ++i) {
    in[i] = step.values[i] < 0 ? LoopOperand{kZeros, 0} : places[step.values[i]];
  }
  step.loop.run(table_, in, count, to);
}

void FusedEvaluator::store(const Output& output, const LoopOperand& place, const OutputSpan& span,
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
    copy_elements(data, place.step, to, span.stride, count, size);
  }
}

}  // namespace cleave::backend
