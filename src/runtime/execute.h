// Executes a prepared program on one rank.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <span>
#include <vector>

#include "runtime/observe.h"
#include "runtime/rank_program.h"

namespace cleave::runtime {

using Clock = std::chrono::steady_clock;

// What a run works on. Pointers are the device's memory.
struct RankRun {
  const RankProgram& program;
  backend::Device& device;
  Communicator& communicator;
  std::byte* arena = nullptr;
  std::byte* workspace = nullptr;
  std::span<const std::byte* const> inputs;
  std::span<std::byte* const> outputs;
  // Set by a rank that has failed: the others stop at their next instruction.
  const std::atomic<bool>& cancelled;
  Observation* observation = nullptr;     // of the run; null: nobody looks
  backend::StreamClock* clock = nullptr;  // of the default stream, where times are taken
  Clock::time_point begin = {};           // what all ranks' times count from
};

// When one step ran.
struct StepTime {
  uint32_t instruction = 0;
  std::string kernel;
  Clock::time_point begin;  // before waiting for the other ranks
  Clock::time_point start;
  Clock::time_point end;
};

// Another rank has failed; its own error says why.
struct Cancelled {};

// Puts the program on the device's default stream; Communicator::wait tells when it is done. Throws
// what kernels and collectives throw, and Cancelled; `at_step` tells the number of the instruction
// that it happened in. With `times`, RankRun::clock is there, ranks meet at the beginning and
// before each collective, the work is waited for and the steps' times are appended.
void execute(const RankRun& run, std::vector<StepTime>* times, std::optional<uint32_t>& at_step);

}  // namespace cleave::runtime
