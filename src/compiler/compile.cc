#include "compiler/compile.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "compiler/device_times.h"
#include "compiler/instruction_cost.h"
#include "compiler/memory.h"
#include "compiler/plan_json.h"
#include "compiler/profile.h"
#include "ops/builder.h"
#include "partition/partition.h"
#include "passes/merge_products.h"
#include "passes/pipeline.h"
#include "passes/precision.h"
#include "planner/formats.h"
#include "program/weight_layout.h"
#include "runtime/backends.h"

namespace cleave::compiler {
namespace {

// Replanning with less room for weights ends after this many tries.
constexpr int kMaxMemoryRounds = 6;

planner::Options planner_options(const std::vector<program::Symbol>& symbols,
                                 const BuilderConfig& config) {
  planner::Options options;
  options.ranks = static_cast<int64_t>(config.devices.size());
  options.points = {values_of(symbols, &program::Symbol::opt)};
  for (const auto which : {&program::Symbol::min, &program::Symbol::max}) {
    SymbolValues values = values_of(symbols, which);
    if (values != options.points[0]) options.points.push_back(std::move(values));
  }
  for (const auto& [node, strategy] : config.pins) options.pins.push_back({node, strategy});
  return options;
}

// The program and engine metadata of a plan.
void lower_plan(Compilation& c, const NetworkImpl& network, const cost::MachineModel& machine,
                const capabilities::Capabilities& capabilities, int64_t devices) {
  lower::Options options;
  options.ranks = c.plan.ranks;
  options.symbols = c.symbols;
  const InstructionCosts costs(machine, network.registry, capabilities, c.symbols, c.plan.ranks,
                               devices);
  options.instruction_us = [&](const program::Instruction& instruction) {
    return costs.us(instruction);
  };
  options.tensor_of = [&](ir::ValueId local) {
    const partition::Origin& origin = c.origins.at(local.index());
    const ir::Value& whole = c.graph.value(origin.whole);
    return program::ModelTensor{whole.name, whole.type, origin.placement};
  };
  c.lowered = lower::lower(c.local, network.registry, capabilities, options);
  c.lowered.program.unsplit_us = c.plan.unsplit_us;
}

// By rank, where all that ranks hold of a constant can be made on a device; else nothing.
std::vector<Noise> noise_of(const ir::Value& value, int64_t ranks) {
  std::vector<Noise> result;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    std::optional<Noise> noise = value.held({{std::string(kRankSymbol), rank}})->noise();
    if (!noise) return {};
    result.push_back(std::move(*noise));
  }
  return result;
}

void describe(Compilation& c, const capabilities::Capabilities& capabilities) {
  program::EngineData& data = c.data;
  data = {};
  data.backend = capabilities.backend();
  data.ranks = c.plan.ranks;
  for (ir::ValueId id : c.local.inputs()) {
    data.inputs.push_back({c.local.value(id).name, c.local.value(id).type});
  }
  // A result may be an input or constant, or appear twice: outputs keep the whole graph's names.
  for (ir::ValueId id : c.graph.outputs()) {
    data.outputs.push_back({c.graph.value(id).name, c.graph.value(id).type});
  }
  c.weight_content.clear();
  for (ir::ValueId id : c.lowered.weights) {
    const ir::Value& value = c.local.value(id);
    program::Weight weight;
    weight.name = value.name;
    weight.dtype = value.type.dtype;
    weight.placement = c.origins.at(id.index()).placement;
    weight.noise = noise_of(value, c.plan.ranks);
    std::vector<uint64_t> content;
    for (int64_t rank = 0; rank < c.plan.ranks; ++rank) {
      weight.shapes.push_back(partition::constant_shape(value, rank));
      uint64_t hash = value.constant->identity();
      const SymbolValues values = {{std::string(kRankSymbol), rank}};
      for (const auto& pieces : value.pieces) {
        for (const auto& piece : pieces) {
          hash = hash_combine(hash, static_cast<uint64_t>(piece.begin.evaluate(values)));
          hash = hash_combine(hash, static_cast<uint64_t>(piece.extent.evaluate(values)));
        }
      }
      content.push_back(hash);
    }
    data.weights.push_back(std::move(weight));
    c.weight_content.push_back(std::move(content));
  }
  program::lay_out_weights(data, c.weight_content);
  data.programs.push_back(c.lowered.program);
  data.memory_bytes = device_memory(data, capabilities);
}

// The CPU has no arithmetic in lower precisions: half ones are honoured in what is stored.
void apply_precision(ir::Graph& graph, const ops::Registry& registry, const BuilderConfig& config) {
  const bool half = config.precision.contains(Precision::kFP16);
  const bool bfloat = config.precision.contains(Precision::kBF16);
  const bool tf32 = config.precision.contains(Precision::kTF32);
  if (config.devices.backend() != "cpu") {
    if (half || bfloat) {
      passes::compute_in(graph, registry, half ? DType::kFloat16 : DType::kBFloat16);
    }
    if (tf32) passes::allow_tf32(graph);  // of what is float32 still
    return;
  }
  if (tf32) {
    log(config.log, LogLevel::kWarning,
        "tf32: float32 products stay float32, since the CPU has no TF32");
  }
  if (!half && !bfloat) return;
  log(config.log, LogLevel::kWarning,
      std::string(half ? "fp16" : "bf16") +
          ": weights are stored so; arithmetic stays float32, since the CPU's kernels have none in "
          "half precision");
  passes::store_weights_as(graph, registry, half ? DType::kFloat16 : DType::kBFloat16);
}

// Plans and compiles, within limits of memory where there are any.
class Compiler {
 public:
  Compiler(const NetworkImpl& network, PlanningInput& input)
      : network_(network), input_(input), capabilities_(input.capabilities) {}

  // Everything from a graph to a program. Throws NoRoom where no plan keeps to so many bytes of
  // constants a rank.
  void compile(Compilation& c, std::optional<int64_t> constant_bytes) {
    input_.options.constant_bytes_limit = constant_bytes;
    c.plan =
        planner::plan(c.graph, network_.registry, *capabilities_, input_.machine, input_.options);
    seconds_ += c.plan.planning_seconds;
    partition::Partitioned local = partition::partition(c.graph, c.plan, network_.registry);
    c.local = std::move(local.graph);
    c.origins = std::move(local.origins);
    lower_plan(c, network_, input_.machine, *capabilities_, input_.options.devices);
    describe(c, *capabilities_);
  }

  // Plans with less and less room for weights until all that a device needs keeps to `limit`, and
  // ends with the fewest weights there can be. False where nothing did; `c` is the last try.
  bool compile_within(Compilation& c, int64_t limit) {
    int64_t room = limit;
    for (int round = 0; round < kMaxMemoryRounds && room >= 0; ++round) {
      try {
        compile(c, room);
      } catch (const planner::NoRoom&) {
        break;
      }
      if (needed(c) <= limit) return true;
      room = static_cast<int64_t>(c.plan.constant_bytes) - (needed(c) - limit);
    }
    compile_smallest(c);
    return needed(c) <= limit;
  }

  // A limit that is kept where one byte less is not, above `limit`, which is not; given what the
  // plan with the fewest weights needs. Mostly that is it. Another plan may need less where its
  // activations are smaller by more than its weights are larger.
  int64_t least_limit(Compilation c, int64_t limit) {
    int64_t least = needed(c);
    for (int64_t tried = least - 1; tried > limit; tried = limit + (least - limit) / 2) {
      (compile_within(c, tried) ? least : limit) = tried;
    }
    return least;
  }

  double seconds() const { return seconds_; }

 private:
  // The plan with the fewest weights: asked for none, the planner says how many there must be.
  void compile_smallest(Compilation& c) {
    for (int64_t bytes = 0;;) {
      try {
        return compile(c, bytes);
      } catch (const planner::NoRoom& least) {
        CLEAVE_CHECK(least.bytes > bytes, "the planner finds no room in what it asks for");
        bytes = least.bytes;
      }
    }
  }

  static int64_t needed(const Compilation& c) {
    return *std::max_element(c.data.memory_bytes.begin(), c.data.memory_bytes.end());
  }

  const NetworkImpl& network_;
  PlanningInput& input_;
  std::shared_ptr<const capabilities::Capabilities> capabilities_;
  double seconds_ = 0;
};

[[noreturn]] void over_limit(int64_t needed, const BuilderConfig& config) {
  const std::string exact = std::to_string(needed);
  throw Error(ErrorCode::kOutOfMemory,
              "the model needs at least " + text_of_bytes(needed) + " (" + exact +
                  " bytes) on each of " + std::to_string(config.devices.size()) +
                  " device(s), --memory allows " + text_of_bytes(config.memory_limit),
              "use more devices or raise --memory");
}

}  // namespace

PlanningInput prepare(const NetworkImpl& network, const BuilderConfig& config,
                      const Overrides& overrides) {
  const std::string& backend = config.devices.backend();
  PlanningInput input{network.graph, capabilities::of_backend(backend), {}, {}, {}};
  passes::run_pipeline(input.graph, network.registry, {config.log, {}});
  apply_precision(input.graph, network.registry, config);
  if (input.capabilities->merges_products()) {
    passes::merge_products(input.graph, network.registry, *input.capabilities);
  }
  input.symbols = make_symbols(input.graph, config);
  for (const program::Symbol& symbol : input.symbols) {
    input.graph.bounds()[symbol.name] = {symbol.min, symbol.max};
  }
  if (!config.machine.empty()) {
    input.machine = cost::MachineModel::load(config.machine);
  } else {
    input.machine =
        backend == "cuda" ? cost::MachineModel::builtin_gpu() : cost::MachineModel::builtin();
  }
  if (input.machine.backend() != backend) {
    throw Error(ErrorCode::kUsage,
                "the machine model is of " + input.machine.backend() +
                    " devices, the devices are " + config.devices.text(),
                "give devices of that kind, by number for example: --devices=2");
  }
  // Machine models of the CPU are of the cores at hand, which its devices share.
  if (config.planned_times != nullptr && backend != "cpu") {
    input.machine.set_exact(make_device_times(
        runtime::find_backend(backend), config.devices[0].index, config.planned_times, config.log));
  }
  input.options = planner_options(input.symbols, config);
  if (!config.plan.empty()) add_pins(config.plan, input.graph, input.options);
  input.options.random_costs = overrides.random_costs;
  input.options.devices = overrides.devices_at_work;
  planner::choose_formats(input.graph, network.registry, *input.capabilities, input.machine,
                          input.options);
  return input;
}

Compilation compile(const NetworkImpl& network, const BuilderConfig& config,
                    const Overrides& overrides) {
  PlanningInput input = prepare(network, config, overrides);
  Compilation c;
  c.graph = std::move(input.graph);
  c.symbols = input.symbols;
  Compiler compiler(network, input);
  if (config.memory_limit == 0) {
    compiler.compile(c, std::nullopt);
  } else if (!compiler.compile_within(c, config.memory_limit)) {
    over_limit(compiler.least_limit(std::move(c), config.memory_limit), config);
  }
  c.plan.planning_seconds = compiler.seconds();
  c.data.plan_json = plan_json(c, PlanningTime::kLeftOut);
  return c;
}

}  // namespace cleave::compiler
