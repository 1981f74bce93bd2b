#include "runtime/rank_program.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"

namespace cleave::runtime {
namespace {

using backend::KernelProblem;
using backend::TensorView;
using program::EngineData;
using program::Instruction;
using program::Program;
using program::Space;

class Preparer {
 public:
  Preparer(const EngineData& data, const Program& program, const SymbolValues& symbols,
           RankResources resources)
      : data_(data),
        program_(program),
        rank_(resources.weights.rank()),
        locator_(data, program, symbols, rank_),
        resources_(resources) {
    result_.reads.resize(data.inputs.size());
  }

  // Ranks begin at different instructions and go round: what one compiles the others find, and they
  // do not all wait for the same.
  RankProgram prepare_all() {
    std::vector<const Instruction*> instructions;
    for (const program::Segment& segment : program_.segments) {
      for (const Instruction& instruction : segment.instructions) {
        instructions.push_back(&instruction);
      }
    }
    const size_t count = instructions.size();
    const size_t first = count * static_cast<size_t>(rank_) / static_cast<size_t>(data_.ranks);
    result_.steps.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const size_t number = (first + i) % count;
      result_.steps[number] = prepare(*instructions[number], static_cast<uint32_t>(number));
    }
    for (const Step& step : result_.steps) schedule(step);
    return std::move(result_);
  }

  RankProgram prepare_one(uint32_t wanted) {
    uint32_t number = 0;
    for (const program::Segment& segment : program_.segments) {
      for (const Instruction& instruction : segment.instructions) {
        if (number++ != wanted) continue;
        result_.steps.push_back(prepare(instruction, wanted));
        schedule(result_.steps.back());
      }
    }
    return std::move(result_);
  }

 private:
  using Staged = std::shared_ptr<const std::byte>;

  Step prepare(const Instruction& instruction, uint32_t number) {
    try {
      return prepare_step(instruction, number);
    } catch (Error& error) {
      error.at(place_of(instruction, number));
      throw;
    }
  }

  Step prepare_step(const Instruction& instruction, uint32_t number) {
    const LocatedInstruction located = locator_.locate(instruction);
    Step step;
    step.instruction = number;
    if (is_collective_op(instruction.op)) {
      if (located.inputs.size() != 1 || located.outputs.size() != 1) {
        invalid_engine("a collective has several operands");
      }
      step.collective = std::make_unique<Collective>(
          make_collective(instruction.op, located.attributes, located.inputs[0].view,
                          located.outputs[0].view, rank_, data_.ranks));
      step.kernel = instruction.op;
    } else if (located.has_work()) {
      prepare_kernel(instruction, located, step);
    }
    for (size_t i = 0; i < located.inputs.size(); ++i) {
      const bool read = step.prepared ? step.prepared->reads_input(i) : step.collective != nullptr;
      step.inputs.push_back(read ? keep(located.inputs[i]) : Address{});
    }
    for (const Located& output : located.outputs) step.outputs.push_back(output.address);
    return step;
  }

  void prepare_kernel(const Instruction& instruction, const LocatedInstruction& located,
                      Step& step) {
    KernelProblem problem = located.problem(instruction.op, resources_.device.threads());
    std::vector<Staged> staged(located.inputs.size());
    problem.load_constant = [&](size_t input) {
      return stage(located.inputs[input], staged[input]);
    };
    const backend::KernelTimes* times = nullptr;
    if (resources_.timings.size() > 0) {
      times = resources_.timings.find(backend::TimingKey(resources_.kind, problem));
    }
    const backend::KernelRegistry::Choice choice = resources_.kernels.choose(problem, times);
    if (choice.kernel == nullptr) resources_.kernels.at(problem);  // throws with all reasons
    CLEAVE_CHECK(choice.kernel != nullptr, "a kernel was chosen and is not there");
    step.kernel = choice.kernel->name();
    problem.algorithm = choice.algorithm;
    step.prepared = choice.kernel->prepare(problem, resources_.cache);
    result_.workspace_bytes = std::max(result_.workspace_bytes, step.prepared->workspace_bytes());
    if (resources_.log) log_choice(instruction, choice, problem, *step.prepared);
    if (!choice.times.empty()) return;
    if (const auto reason = choice.kernel->wants_tuning(problem)) {
      result_.wants_tuning.push_back(instruction.op + " " + instruction.name + ": " + *reason);
    }
  }

  void log_choice(const Instruction& instruction, const backend::KernelRegistry::Choice& choice,
                  const KernelProblem& problem, const backend::PreparedKernel& prepared) const {
    std::string line = resources_.device.name() + ": " + instruction.op + " " + instruction.name;
    for (const TensorView& view : problem.inputs) line += " " + view.text();
    line += " ->";
    for (const TensorView& view : problem.outputs) line += " " + view.text();
    line += ": " + choice.text();
    if (prepared.algorithm() != choice.algorithm) {
      line += ", but it does not know that algorithm and uses the one it thinks best";
    }
    log(resources_.log, LogLevel::kDebug, line);
  }

  // A weight's view; its bytes stay in `staged` until the instruction is prepared.
  const std::byte* stage(const Located& located, Staged& staged) {
    if (located.address.space != Space::kWeight) return nullptr;
    if (!staged) staged = resources_.weights.stage(located.address.index);
    return staged.get() + located.address.bytes;
  }

  // The address at run time; a weight that is read then is held.
  Address keep(const Located& located) {
    Address address = located.address;
    if (address.space == Space::kInput) note_read(located);
    if (address.space != Space::kWeight) return address;
    auto weight = resources_.weights.get(address.index);
    const auto found = std::find(result_.weights.begin(), result_.weights.end(), weight);
    address.index = static_cast<uint32_t>(found - result_.weights.begin());
    if (found == result_.weights.end()) result_.weights.push_back(std::move(weight));
    return address;
  }

  void note_read(const Located& input) {
    ByteRange& reads = result_.reads[input.address.index];
    const ByteRange more = {input.address.bytes, input.address.bytes + input.view.reach_bytes()};
    if (reads.bytes() == 0) reads = more;
    reads = {std::min(reads.begin, more.begin), std::max(reads.end, more.end)};
  }

  void schedule(const Step& step) {
    if (!step.collective) return;
    result_.schedule = hash_combine(result_.schedule, hash_bytes(step.kernel, step.instruction));
  }

  const EngineData& data_;
  const Program& program_;
  const int64_t rank_;
  const Locator locator_;
  RankResources resources_;
  RankProgram result_;
};

}  // namespace

RankProgram prepare_rank(const EngineData& data, const Program& program,
                         const SymbolValues& symbols, RankResources resources) {
  return Preparer(data, program, symbols, resources).prepare_all();
}

RankProgram prepare_instruction(const EngineData& data, const Program& program,
                                const SymbolValues& symbols, RankResources resources,
                                uint32_t number) {
  return Preparer(data, program, symbols, resources).prepare_one(number);
}

}  // namespace cleave::runtime
