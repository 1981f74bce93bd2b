// A program made ready for one rank and one combination of sizes: kernels chosen and prepared,
// collectives worked out, operands located.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/device.h"
#include "backend/kernel.h"
#include "backend/timing_table.h"
#include "cleave/log.h"
#include "program/program.h"
#include "runtime/collective.h"
#include "runtime/located.h"
#include "runtime/weight_store.h"

namespace cleave::runtime {

// One instruction: a kernel, a collective, or neither where the rank's share of the results is
// empty. Addresses of weights have their index in RankProgram::weights.
struct Step {
  uint32_t instruction = 0;  // its number in the program
  std::string kernel;        // name, for people
  std::unique_ptr<backend::PreparedKernel> prepared;
  std::unique_ptr<Collective> collective;
  std::vector<Address> inputs;
  std::vector<Address> outputs;
};

struct RankProgram {
  std::vector<Step> steps;
  std::vector<std::shared_ptr<const backend::Buffer>> weights;  // that kernels still read
  std::vector<ByteRange> reads;  // by the model's input: all that the steps read of it
  int64_t workspace_bytes = 0;   // the largest of all steps
  uint64_t schedule = 0;         // a hash; equal on all ranks, or they would not meet
  // Of kernels chosen by rule, those that want to be tuned: "conv layer: its window is 13 x 13".
  std::vector<std::string> wants_tuning;
};

// What a rank has to prepare programs with.
struct RankResources {
  backend::Device& device;
  const backend::KernelRegistry& kernels;
  backend::KernelCache& cache;
  WeightStore& weights;
  const backend::DeviceKind& kind;
  const backend::TimingTable& timings;  // the same on all ranks: they choose alike
  const LogSink& log;
};

// `symbols` are the model's; every operand is checked against the memory it lies in.
// Error(kInvalid) where the engine is inconsistent for these sizes, Error(kUnsupported) where no
// kernel takes an instruction, and those of weights and memory. They name the instruction.
RankProgram prepare_rank(const program::EngineData& data, const program::Program& program,
                         const SymbolValues& symbols, RankResources resources);
// The same of one instruction alone, by its number: its weights are all that is loaded.
RankProgram prepare_instruction(const program::EngineData& data, const program::Program& program,
                                const SymbolValues& symbols, RankResources resources,
                                uint32_t number);

}  // namespace cleave::runtime
