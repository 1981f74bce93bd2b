#include "runtime/tune.h"

#include <algorithm>
#include <chrono>

#include "backend/kernel_trial.h"
#include "base/log.h"
#include "cleave/error.h"
#include "runtime/collective.h"
#include "runtime/located.h"

namespace cleave::runtime {
namespace {

using backend::Kernel;
using backend::KernelProblem;
using backend::KernelTimes;

// Calls of each kernel: enough for a median that a disturbance does not move, and no more than a
// problem is worth.
constexpr size_t kLeastCalls = 5;
constexpr size_t kMostCalls = 51;
constexpr double kSeconds = 0.2;  // a problem, once all kernels have had their least
// A kernel so many times slower than the best in its first calls is not called again.
constexpr double kHopeless = 3;

class Candidate {
 public:
  // The first call is not counted: it finds nothing in the cache and pages untouched.
  Candidate(const Kernel& kernel, const KernelProblem& problem, backend::Device& device)
      : name_(kernel.name()), cache_(device), trial_(kernel, problem, cache_) {
    trial_.call();
  }

  void call() { us_.push_back(trial_.call_us()); }
  double least() const { return *std::min_element(us_.begin(), us_.end()); }
  backend::KernelTime time() {
    const auto middle = us_.begin() + static_cast<std::ptrdiff_t>(us_.size() / 2);
    std::nth_element(us_.begin(), middle, us_.end());
    return {name_, *middle};
  }

 private:
  std::string name_;
  backend::KernelCache cache_;  // what is packed for the trial goes with it
  backend::KernelTrial trial_;
  std::vector<double> us_;
};

using Candidates = std::vector<std::unique_ptr<Candidate>>;

Candidates make_candidates(const std::vector<const Kernel*>& kernels, const KernelProblem& problem,
                           backend::Device& device, const LogSink& log) {
  Candidates candidates;
  for (const Kernel* kernel : kernels) {
    try {
      candidates.push_back(std::make_unique<Candidate>(*kernel, problem, device));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      cleave::log(log, LogLevel::kWarning,
                  std::string(kernel->name()) + " is not timed: " + error.message());
    }
  }
  return candidates;
}

// Calls take turns, so that what else goes on in the machine meets all kernels alike.
KernelTimes time_all(const Candidates& candidates) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  double best = 0;
  for (size_t call = 0; call < kMostCalls; ++call) {
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (call >= kLeastCalls && elapsed.count() > kSeconds) break;
    for (const auto& candidate : candidates) {
      if (call >= 2 && candidate->least() > kHopeless * best) continue;
      candidate->call();
    }
    best = candidates.front()->least();
    for (const auto& candidate : candidates) best = std::min(best, candidate->least());
  }
  KernelTimes times;
  for (const auto& candidate : candidates) times.push_back(candidate->time());
  return times;
}

}  // namespace

void tune_program(const program::EngineData& data, const program::Program& program,
                  const SymbolValues& symbols, const backend::KernelRegistry& kernels,
                  backend::Device& device, backend::TimingTable& timings, const LogSink& log) {
  const backend::DeviceKind kind(device);
  const auto tune_one = [&](const program::Instruction& instruction,
                            const LocatedInstruction& located) {
    const KernelProblem problem = located.problem(instruction.op, device.threads());
    const std::vector<const Kernel*> takers = kernels.takers(problem);
    if (takers.size() < 2) return;
    const backend::TimingKey key(kind, problem);
    if (!kernels.choose(problem, timings.find(key)).times.empty()) return;
    const Candidates candidates = make_candidates(takers, problem, device, log);
    if (candidates.empty()) return;
    timings.set(key, time_all(candidates));
    cleave::log(log, LogLevel::kDebug,
                "tuned " + instruction.op + " " + instruction.name + ": " +
                    kernels.choose(problem, timings.find(key)).text());
  };
  for (int64_t rank = 0; rank < data.ranks; ++rank) {
    const Locator locator(data, program, symbols, rank);
    uint32_t number = 0;
    for (const program::Segment& segment : program.segments) {
      for (const program::Instruction& instruction : segment.instructions) {
        try {
          if (!is_collective_op(instruction.op)) {
            const LocatedInstruction located = locator.locate(instruction);
            if (located.has_work()) tune_one(instruction, located);
          }
        } catch (Error& error) {
          error.at(place_of(instruction, number));
          throw;
        }
        ++number;
      }
    }
  }
}

}  // namespace cleave::runtime
