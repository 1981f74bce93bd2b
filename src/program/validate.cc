#include "program/validate.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>

#include "base/check.h"
#include "program/weight_layout.h"
#include "types/cut.h"
#include "types/format.h"
#include "types/fused.h"

namespace cleave::program {
namespace {

using Names = std::set<std::string, std::less<>>;

constexpr int64_t kLargestSymbol = int64_t{1} << 40;
constexpr int64_t kArenaAlignment = 64;

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::kInvalid, "the engine is invalid: " + what, "build it again");
}

void require(bool condition, const char* what) {
  if (!condition) invalid(what);
}

// Runs `check`; errors name the place.
template <class Check>
void at(const std::string& place, Check&& check) {
  try {
    check();
  } catch (Error& error) {
    error.at(place);
    throw;
  }
}

void check_symbols(const Dim& dim, const Names& known) {
  Names used;
  dim.collect_symbols(used);
  for (const std::string& name : used) {
    if (!known.contains(name)) invalid("the dimension '" + name + "' is not known");
  }
}

void check_name(Names& names, const std::string& name, const char* what) {
  if (name.empty()) invalid(std::string("a ") + what + " has no name");
  if (!names.insert(name).second) {
    invalid(std::string("two ") + what + "s have the name '" + name + "'");
  }
}

// Boxes lie in the tensor, and hold as many elements as it: they cover it unless two overlap, and
// then only what the engine's maker meant is lost.
void check_noise(const Noise& noise, DType dtype, const std::vector<int64_t>& shape) {
  require(!noise.types.empty() && noise.types.back() == dtype &&
              std::all_of(noise.types.begin(), noise.types.end(), is_floating),
          "its noise has other types");
  int64_t elements = 1;
  for (const int64_t extent : shape) elements = checked_mul(elements, extent);
  for (const NoiseBox& box : noise.boxes) {
    require(box.begin.size() == shape.size() && box.extent.size() == shape.size() &&
                box.strides.size() == shape.size(),
            "its noise has other dimensions");
    int64_t held = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      require(box.begin[d] >= 0 && box.extent[d] > 0 && box.begin[d] <= shape[d] &&
                  box.extent[d] <= shape[d] - box.begin[d],
              "its noise lies outside of it");
      require(box.strides[d] >= 0, "its noise has a negative stride");
      checked_mul(box.strides[d], box.extent[d]);
      held = checked_mul(held, box.extent[d]);
    }
    elements -= held;
    require(elements >= 0, "its noise lies twice in one place");
  }
  require(elements == 0, "its noise does not fill it");
}

void check_weight(const EngineData& data, const Weight& weight, uint64_t section) {
  const auto ranks = static_cast<size_t>(data.ranks);
  require(weight.shapes.size() == ranks && weight.slices.size() == ranks,
          "it has not one shape and one slice a rank");
  require(!weight.is_noise() || weight.noise.size() == ranks, "it is not noise on every rank");
  for (size_t r = 0; r < ranks; ++r) {
    const WeightSlice& slice = weight.slices[r];
    require(slice.bytes == slice_bytes(weight, r), "a slice has not the size of its shape");
    if (weight.is_noise()) {
      require(slice.offset == 0, "it is noise and has bytes");
      check_noise(weight.noise[r], weight.dtype, weight.shapes[r]);
      continue;
    }
    require(slice.offset % kSliceAlignment == 0, "a slice is not aligned");
    require(slice.offset <= section && slice.bytes <= section - slice.offset,
            "a slice lies outside of the weight section");
  }
}

// Slices are the same bytes or disjoint.
void check_slices(const EngineData& data) {
  uint64_t end = 0;
  for (const StoredSlice& stored : stored_slices(data)) {
    require(stored.slice.offset >= end, "two slices of weights overlap");
    end = stored.slice.offset + stored.slice.bytes;
  }
}

bool is_op_name(std::string_view op) {
  if (op.empty() || op.size() > 64 || op[0] < 'a' || op[0] > 'z') return false;
  return std::all_of(op.begin(), op.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// One program's checks; sizes are evaluated with every symbol at its maximum.
class ProgramCheck {
 public:
  ProgramCheck(const EngineData& data, const Program& program) : data_(data), program_(program) {}

  void check() {
    check_symbol_table();
    for (const Binding& input : data_.inputs) check_binding(input);
    for (const Binding& output : data_.outputs) check_binding(output);
    require(program_.arena_bytes >= 0 && program_.workspace_bytes >= 0, "a size is negative");
    symbols_.insert(std::string(kRankSymbol));
    for (const SizeGuard& guard : program_.guards) {
      check_symbols(guard.a, symbols_);
      check_symbols(guard.b, symbols_);
    }
    size_t number = 0;
    for (const Segment& segment : program_.segments) {
      for (const Instruction& instruction : segment.instructions) {
        at("instruction " + std::to_string(number++) + " (" + instruction.op + " " +
               instruction.name + ")",
           [&] { check_instruction(instruction); });
      }
    }
    for (size_t i = 0; i < data_.outputs.size(); ++i) {
      if (!written_.contains(static_cast<uint32_t>(i))) {
        invalid("nothing writes the output '" + data_.outputs[i].name + "'");
      }
    }
  }

 private:
  void check_symbol_table() {
    for (const Symbol& symbol : program_.symbols) {
      check_name(symbols_, symbol.name, "dimension");
      if (symbol.name[0] == '$' || symbol.min < 0 || symbol.min > symbol.opt ||
          symbol.opt > symbol.max || symbol.max > kLargestSymbol) {
        invalid("the bounds of the dimension '" + symbol.name + "' are not possible");
      }
      largest_[symbol.name] = symbol.max;
    }
  }

  void check_binding(const Binding& binding) {
    at("'" + binding.name + "'", [&] {
      for (const Dim& dim : binding.type.shape) check_symbols(dim, symbols_);
      evaluate(binding.type.shape, largest_);
    });
  }

  void check_instruction(const Instruction& instruction) {
    if (!is_op_name(instruction.op)) invalid("there is no such op");
    check_attributes(instruction);
    for (const Operand& input : instruction.inputs) {
      at("input " + std::to_string(&input - instruction.inputs.data()),
         [&] { check_operand(input); });
    }
    for (const Operand& output : instruction.outputs) {
      at("output " + std::to_string(&output - instruction.outputs.data()), [&] {
        require(output.space == Space::kArena || output.space == Space::kOutput,
                "it is written where nothing may be written");
        check_operand(output);
        if (output.space == Space::kOutput) written_.insert(output.index);
      });
    }
    check_tensors(instruction);
  }

  // Where outputs are said to be tensors of the model. Cuts are checked in numbers, by who cuts.
  void check_tensors(const Instruction& instruction) {
    if (instruction.tensors.empty()) return;
    require(instruction.tensors.size() == instruction.outputs.size(),
            "it has not one tensor an output");
    for (size_t i = 0; i < instruction.tensors.size(); ++i) {
      const ModelTensor& tensor = instruction.tensors[i];
      const Operand& output = instruction.outputs[i];
      at("tensor '" + tensor.name + "'", [&] {
        require(!tensor.name.empty(), "it has no name");
        const Shape& shape = output.type.shape;
        const auto lies = [&](Format format) {
          return output.strides == dense_strides(format, shape);
        };
        const bool dense =
            output.strides.empty() || std::any_of(std::begin(kFormats), std::end(kFormats), lies);
        require(output.type.dtype == tensor.type.dtype &&
                    shape.size() == tensor.type.shape.size() && dense,
                "it is made as something else");
        for (const Dim& dim : tensor.type.shape) check_symbols(dim, symbols_);
        check_placement(tensor.placement, tensor.type.shape.size());
      });
    }
  }

  void check_placement(const layout::Placement& placement, size_t dimensions) {
    if (!placement.is_shard()) return;
    require(placement.dim >= 0 && static_cast<size_t>(placement.dim) < dimensions,
            "it is cut along a dimension that it has not");
    for (const layout::Segment& segment : placement.cut.segments) {
      check_symbols(segment.extent, symbols_);
      check_symbols(segment.grain, symbols_);
      if (!segment.window) continue;
      check_symbols(segment.window->outputs, symbols_);
      check_symbols(segment.window->before, symbols_);
    }
  }

  void check_attributes(const Instruction& instruction) {
    for (const Attributes::Field& field : instruction.attributes.fields()) {
      if (const Dim* dim = std::get_if<Dim>(&field.value)) check_symbols(*dim, symbols_);
      if (const auto* dims = std::get_if<std::vector<Dim>>(&field.value)) {
        for (const Dim& dim : *dims) check_symbols(dim, symbols_);
      }
    }
    const Attributes& attributes = instruction.attributes;
    const size_t operands = instruction.inputs.size();
    if (instruction.op == "fused_elementwise") check_fused(instruction, "", operands);
    if (FusedProgram::is_in(attributes, kEpiloguePrefix)) {
      // Its operand 0 is what the op makes of its own inputs; the others are the inputs behind
      // them.
      const size_t own = instruction.op == "group_norm" ? 3 : 2;
      require(operands >= own, "a fused chain follows too few operands");
      check_fused(instruction, kEpiloguePrefix, operands - own + 1);
    }
    if (is_collective(instruction.op) || instruction.op == "shard") {
      require(instruction.inputs.size() == 1 && instruction.outputs.size() == 1,
              "a collective takes one tensor and gives one");
      require(attributes.integer("ranks") == data_.ranks, "a collective is for other ranks");
    }
  }

  void check_fused(const Instruction& instruction, std::string_view prefix, size_t operands) {
    const FusedProgram fused = FusedProgram::from_attributes(instruction.attributes, prefix);
    require(static_cast<size_t>(fused.inputs) <= operands,
            "a fused chain has more operands than the instruction");
    require(fused.outputs.size() == instruction.outputs.size(),
            "a fused chain has not the instruction's results");
  }

  void check_operand(const Operand& operand) {
    if (operand.space == Space::kNone) return;
    require(operand.strides.empty() || operand.strides.size() == operand.type.shape.size(),
            "it has not one stride a dimension");
    bool by_rank = operand.space == Space::kWeight;
    const auto look_at = [&](const Dim& dim) {
      check_symbols(dim, symbols_);
      by_rank = by_rank || dim.depends_on(kRankSymbol);
    };
    for (const Dim& dim : operand.type.shape) look_at(dim);
    for (const Dim& dim : operand.strides) look_at(dim);
    look_at(operand.element_offset);
    for (int64_t rank = 0; rank < (by_rank ? data_.ranks : 1); ++rank) check_reach(operand, rank);
  }

  void check_reach(const Operand& operand, int64_t rank) {
    largest_[std::string(kRankSymbol)] = rank;
    const auto bytes = space_bytes(operand, rank);
    const std::vector<int64_t> shape = evaluate(operand.type.shape, largest_);
    // Where a difference of sizes is negative with all at their maximum, only a run can tell.
    if (std::any_of(shape.begin(), shape.end(), [](int64_t extent) { return extent < 0; })) return;
    const std::vector<int64_t> strides = operand.strides.empty()
                                             ? dense_strides(Format::kRowMajor, shape)
                                             : evaluate(operand.strides, largest_);
    const Reach reach = reach_of(shape, strides, operand.element_offset.evaluate(largest_));
    require(checked_mul(reach.end, static_cast<int64_t>(size_of(operand.type.dtype))) <= bytes,
            "it reaches beyond the memory it lies in");
  }

  // The bytes from the operand's offset to the end of what it is a view of.
  int64_t space_bytes(const Operand& operand, int64_t rank) {
    const auto binding_bytes = [&](const std::vector<Binding>& bindings) {
      require(operand.index < bindings.size(), "it does not exist");
      const TensorType& type = bindings[operand.index].type;
      require(type.dtype == operand.type.dtype, "it has another type than the model's");
      return type.bytes().evaluate(largest_);
    };
    switch (operand.space) {
      case Space::kInput:
        return binding_bytes(data_.inputs);
      case Space::kOutput:
        return binding_bytes(data_.outputs);
      case Space::kWeight: {
        require(operand.index < data_.weights.size(), "there is no such weight");
        const Weight& weight = data_.weights[operand.index];
        require(weight.dtype == operand.type.dtype, "it has another type than the weight");
        return static_cast<int64_t>(weight.slices[static_cast<size_t>(rank)].bytes);
      }
      case Space::kArena:
        require(operand.offset >= 0 && operand.offset <= program_.arena_bytes &&
                    operand.offset % kArenaAlignment == 0,
                "its offset is outside of the arena or not aligned");
        return program_.arena_bytes - operand.offset;
      case Space::kNone:
        break;
    }
    return 0;
  }

  const EngineData& data_;
  const Program& program_;
  Names symbols_;
  SymbolValues largest_;
  std::set<uint32_t> written_;  // outputs
};

void check_bindings(const std::vector<Binding>& bindings, const char* what) {
  Names names;
  for (const Binding& binding : bindings) check_name(names, binding.name, what);
}

}  // namespace

bool is_collective(std::string_view op) {
  return op == "all_reduce" || op == "all_gather" || op == "reduce_scatter" || op == "all_to_all";
}

Reach reach_of(std::span<const int64_t> shape, std::span<const int64_t> strides,
               int64_t element_offset) {
  int64_t last = element_offset;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] < 0) invalid("a size is negative");
    if (strides[d] < 0) invalid("a stride is negative");
    if (shape[d] == 0) return {};
    last = checked_add(last, checked_mul(shape[d] - 1, strides[d]));
  }
  if (element_offset < 0) invalid("a view begins before its tensor");
  return {element_offset, checked_add(last, 1)};
}

void validate(const EngineData& data, uint64_t weights_bytes) {
  require(data.ranks >= 1 && data.ranks <= kMaxRanks, "the number of ranks is not possible");
  require(!data.backend.empty() && data.backend.size() <= 64, "it is for no known backend");
  require(!data.programs.empty(), "it has no program");
  check_bindings(data.inputs, "input");
  check_bindings(data.outputs, "output");
  Names names;
  for (const Weight& weight : data.weights) {
    at("weight '" + weight.name + "'", [&] {
      check_name(names, weight.name, "weight");
      check_weight(data, weight, weights_bytes);
    });
  }
  check_slices(data);
  require(data.memory_bytes.empty() || data.memory_bytes.size() == static_cast<size_t>(data.ranks),
          "it has not one size of memory a rank");
  for (const Program& program : data.programs) {
    at("program " + std::to_string(&program - data.programs.data()),
       [&] { ProgramCheck(data, program).check(); });
  }
}

}  // namespace cleave::program
