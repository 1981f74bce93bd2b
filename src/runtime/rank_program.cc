#include "runtime/rank_program.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "program/validate.h"

namespace cleave::runtime {
namespace {

using backend::KernelProblem;
using backend::TensorView;
using program::EngineData;
using program::Instruction;
using program::Operand;
using program::Program;
using program::Space;

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "the engine is invalid for these sizes: " + what,
              "build it again");
}

// An operand with all sizes known.
struct Located {
  TensorView view = TensorView::absent();
  Address address;
  uint64_t key = 0;                               // of a weight's view
  std::shared_ptr<const backend::Buffer> weight;  // once it is loaded
};

class Preparer {
 public:
  Preparer(const EngineData& data, const Program& program, const SymbolValues& symbols,
           RankResources resources)
      : data_(data),
        program_(program),
        values_(symbols),
        rank_(resources.weights.rank()),
        resources_(resources) {
    values_[std::string(kRankSymbol)] = rank_;
  }

  RankProgram prepare() {
    for (const program::Binding& output : data_.outputs) {
      result_.output_bytes.push_back(output.type.bytes().evaluate(values_));
    }
    for (const program::Segment& segment : program_.segments) {
      for (const Instruction& instruction : segment.instructions) add(instruction);
    }
    return std::move(result_);
  }

 private:
  void add(const Instruction& instruction) {
    const uint32_t number = count_++;
    try {
      prepare_step(instruction, number);
    } catch (Error& error) {
      error.at("instruction " + std::to_string(number) + " (" + instruction.op + " " +
               instruction.name + ")");
      throw;
    }
  }

  void prepare_step(const Instruction& instruction, uint32_t number) {
    const Attributes attributes = instruction.attributes.evaluated(values_);
    std::vector<Located> inputs;
    std::vector<Located> outputs;
    for (const Operand& operand : instruction.inputs) inputs.push_back(locate(operand));
    for (const Operand& operand : instruction.outputs) outputs.push_back(locate(operand));

    Step step;
    step.instruction = number;
    if (is_collective_op(instruction.op)) {
      if (inputs.size() != 1 || outputs.size() != 1) invalid("a collective has several operands");
      step.collective = std::make_unique<Collective>(make_collective(
          instruction.op, attributes, inputs[0].view, outputs[0].view, rank_, data_.ranks));
      step.kernel = instruction.op;
      schedule(number, instruction.op);
    } else {
      const bool no_work = std::all_of(outputs.begin(), outputs.end(), [](const Located& output) {
        return output.view.elements() == 0;
      });
      if (no_work) return;
      prepare_kernel(instruction, attributes, inputs, outputs, step);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool read = !step.prepared || step.prepared->reads_input(i);
      step.inputs.push_back(read ? keep(inputs[i]) : Address{});
    }
    for (const Located& output : outputs) step.outputs.push_back(output.address);
    result_.steps.push_back(std::move(step));
  }

  void prepare_kernel(const Instruction& instruction, const Attributes& attributes,
                      std::vector<Located>& inputs, const std::vector<Located>& outputs,
                      Step& step) {
    KernelProblem problem{.op = instruction.op, .attributes = attributes};
    for (const Located& input : inputs) {
      problem.inputs.push_back(input.view);
      problem.constant_keys.push_back(input.key);
    }
    for (const Located& output : outputs) problem.outputs.push_back(output.view);
    problem.load_constant = [&](size_t input) { return load(inputs[input]); };
    problem.threads = resources_.device.threads();

    const backend::KernelRegistry::Choice choice = resources_.kernels.choose(problem);
    if (choice.kernel == nullptr) resources_.kernels.at(problem);  // throws with all reasons
    CLEAVE_CHECK(choice.kernel != nullptr, "a kernel was chosen and is not there");
    step.kernel = choice.kernel->name();
    step.prepared = choice.kernel->prepare(problem, resources_.cache);
    result_.workspace_bytes = std::max(result_.workspace_bytes, step.prepared->workspace_bytes());
    if (resources_.log) log_choice(instruction, choice, problem);
  }

  void log_choice(const Instruction& instruction, const backend::KernelRegistry::Choice& choice,
                  const KernelProblem& problem) const {
    std::string line = resources_.device.name() + ": " + instruction.op + " " + instruction.name;
    for (const TensorView& view : problem.inputs) line += " " + view.text();
    line += " ->";
    for (const TensorView& view : problem.outputs) line += " " + view.text();
    log(resources_.log, LogLevel::kDebug, line + ": " + choice.text());
  }

  Located locate(const Operand& operand) {
    Located located;
    if (operand.space == Space::kNone) return located;
    TensorView& view = located.view;
    view.present = true;
    view.dtype = operand.type.dtype;
    view.shape = evaluate(operand.type.shape, values_);
    view.strides = operand.strides.empty() ? program::dense_strides(view.shape)
                                           : evaluate(operand.strides, values_);
    const int64_t element_offset = operand.element_offset.evaluate(values_);
    const auto element = static_cast<int64_t>(size_of(view.dtype));
    const program::Reach reach = program::reach_of(view.shape, view.strides, element_offset);
    if (checked_mul(reach.end, element) > space_bytes(operand)) {
      invalid("an operand reaches beyond the memory it lies in");
    }
    if (view.elements() == 0) return located;  // empty operands lie nowhere
    located.address = {operand.space, operand.index, element_offset * element};
    if (operand.space == Space::kArena) located.address.bytes += operand.offset;
    if (operand.space == Space::kWeight) {
      located.key = key_of(operand.index, view, element_offset);
    }
    return located;
  }

  // From the operand's offset to the end of the memory it lies in.
  int64_t space_bytes(const Operand& operand) const {
    switch (operand.space) {
      case Space::kArena:
        return program_.arena_bytes - operand.offset;
      case Space::kWeight:
        return static_cast<int64_t>(
            data_.weights[operand.index].slices[static_cast<size_t>(rank_)].bytes);
      case Space::kInput:
        return data_.inputs[operand.index].type.bytes().evaluate(values_);
      case Space::kOutput:
        return result_.output_bytes[operand.index];
      case Space::kNone:
        break;
    }
    return 0;
  }

  static uint64_t key_of(uint32_t weight, const TensorView& view, int64_t element_offset) {
    uint64_t key = hash_combine(uint64_t{weight} + 1, static_cast<uint64_t>(element_offset));
    for (const int64_t extent : view.shape) key = hash_combine(key, static_cast<uint64_t>(extent));
    for (const int64_t stride : view.strides) {
      key = hash_combine(key, static_cast<uint64_t>(stride));
    }
    return std::max<uint64_t>(key, 1);
  }

  // A weight's view; what is loaded stays until the instruction is prepared.
  const std::byte* load(Located& located) {
    if (located.address.space != Space::kWeight) return nullptr;
    if (!located.weight) located.weight = resources_.weights.get(located.address.index);
    return located.weight->data() + located.address.bytes;
  }

  // The address at run time; a weight that is read then is held.
  Address keep(Located& located) {
    Address address = located.address;
    if (address.space != Space::kWeight) return address;
    load(located);
    const auto found = std::find(result_.weights.begin(), result_.weights.end(), located.weight);
    address.index = static_cast<uint32_t>(found - result_.weights.begin());
    if (found == result_.weights.end()) result_.weights.push_back(located.weight);
    return address;
  }

  void schedule(uint32_t number, std::string_view op) {
    result_.schedule = hash_combine(result_.schedule, hash_bytes(op, number));
  }

  const EngineData& data_;
  const Program& program_;
  SymbolValues values_;
  const int64_t rank_;
  RankResources resources_;
  RankProgram result_;
  uint32_t count_ = 0;
};

}  // namespace

RankProgram prepare_rank(const EngineData& data, const Program& program,
                         const SymbolValues& symbols, RankResources resources) {
  return Preparer(data, program, symbols, resources).prepare();
}

}  // namespace cleave::runtime
