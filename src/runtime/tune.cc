#include "runtime/tune.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "backend/kernel_trial.h"
#include "base/log.h"
#include "cleave/error.h"
#include "runtime/located.h"

namespace cleave::runtime {
namespace {

using backend::Kernel;
using backend::KernelProblem;
using backend::KernelTimes;

// Calls of each candidate: enough for a median that a disturbance does not move, and no more than a
// problem is worth.
constexpr size_t kLeastCalls = 5;
constexpr size_t kMostCalls = 51;
constexpr double kSeconds = 0.2;  // a problem, once all candidates have had their least
// A candidate so many times slower than the best in its first calls is not called again, nor one
// that is a little slower once it had its least: the calls are for those that are hard to tell.
constexpr double kHopeless = 3;
constexpr double kBehind = 1.15;
// Nor one whose first calls, of so many microseconds or more, took so many times longer than
// another's: what carries out every problem as it is written takes seconds for a large one.
constexpr double kLongCallUs = 50e3;
constexpr double kOutOfTheRunning = 20;

// A kernel, and one of its algorithms where it has several.
struct Way {
  const Kernel* kernel = nullptr;
  std::string algorithm;
  bool operator==(const Way&) const = default;
};

std::vector<Way> ways_of(const std::vector<const Kernel*>& takers, const KernelProblem& problem,
                         backend::Device& device) {
  backend::KernelCache cache(device);
  std::vector<Way> ways;
  for (const Kernel* kernel : takers) {
    const std::vector<std::string> algorithms = kernel->algorithms(problem, cache);
    for (const std::string& algorithm : algorithms) ways.push_back({kernel, algorithm});
    // What timings alone choose is nothing without an algorithm.
    if (algorithms.empty() && kernel->is_chosen_by_rule()) ways.push_back({kernel, ""});
  }
  return ways;
}

class Candidate {
 public:
  // The first call is not counted: it finds nothing in the cache and pages untouched.
  Candidate(const Way& way, KernelProblem problem, backend::Device& device,
            std::shared_ptr<backend::TrialOperands> operands)
      : name_{std::string(way.kernel->name()), 0, way.algorithm},
        cache_(device),
        trial_(*way.kernel, with(std::move(problem), way.algorithm), cache_, std::move(operands)) {
    using Clock = std::chrono::steady_clock;
    // Code that is loaded when it is first needed is not counted against it.
    for (int call = 0; call < 2 && (call == 0 || first_us_ > kLongCallUs); ++call) {
      const auto start = Clock::now();
      trial_.call();
      device.synchronize(device.default_stream());
      first_us_ = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    }
  }

  double first_us() const { return first_us_; }
  // Its time is that of the first call.
  void give_up() { us_ = {first_us_}; }
  void call() { us_.push_back(trial_.call_us()); }
  double least() const { return *std::min_element(us_.begin(), us_.end()); }
  backend::KernelTime time() {
    const auto middle = us_.begin() + static_cast<std::ptrdiff_t>(us_.size() / 2);
    std::nth_element(us_.begin(), middle, us_.end());
    return {name_.kernel, *middle, name_.algorithm};
  }

 private:
  static KernelProblem with(KernelProblem problem, const std::string& algorithm) {
    problem.algorithm = algorithm;
    return problem;
  }

  backend::KernelTime name_;
  backend::KernelCache cache_;  // what is packed for the trial goes with it
  backend::KernelTrial trial_;
  double first_us_ = 0;
  std::vector<double> us_;
};

using Candidates = std::vector<std::unique_ptr<Candidate>>;

Candidates make_candidates(const std::vector<Way>& ways, const KernelProblem& problem,
                           backend::Device& device, const LogSink& log) {
  // What memory does not suffice for is left out.
  const auto unless_full = [&](const std::string& what, const std::function<void()>& make) {
    try {
      make();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kOutOfMemory) throw;
      cleave::log(log, LogLevel::kWarning, what + " is not timed: " + error.message());
    }
  };
  Candidates candidates;
  unless_full(std::string(problem.op), [&] {
    const auto operands = std::make_shared<backend::TrialOperands>(problem, device);
    for (const Way& way : ways) {
      unless_full(std::string(way.kernel->name()), [&] {
        candidates.push_back(std::make_unique<Candidate>(way, problem, device, operands));
      });
    }
  });
  return candidates;
}

// Calls take turns, so that what else goes on in the machine meets all candidates alike.
KernelTimes time_all(const Candidates& candidates) {
  using Clock = std::chrono::steady_clock;
  double first = candidates.front()->first_us();
  for (const auto& candidate : candidates) first = std::min(first, candidate->first_us());
  const auto is_out = [&](const Candidate& candidate) {
    return candidate.first_us() > std::max(kLongCallUs, kOutOfTheRunning * first);
  };
  for (const auto& candidate : candidates) {
    if (is_out(*candidate)) candidate->give_up();
  }
  const auto start = Clock::now();
  double best = 0;
  for (size_t call = 0; call < kMostCalls; ++call) {
    const std::chrono::duration<double> elapsed = Clock::now() - start;
    if (call >= kLeastCalls && elapsed.count() > kSeconds) break;
    for (const auto& candidate : candidates) {
      if (is_out(*candidate)) continue;
      const double most = call >= kLeastCalls ? kBehind : kHopeless;
      if (call >= 2 && candidate->least() > most * best) continue;
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

KernelTimes time_problem(const KernelProblem& problem, const backend::KernelRegistry& kernels,
                         backend::Device& device, const LogSink& log) {
  const std::vector<Way> ways = ways_of(kernels.takers(problem), problem, device);
  const Candidates candidates = make_candidates(ways, problem, device, log);
  return candidates.empty() ? KernelTimes() : time_all(candidates);
}

void tune_program(const program::EngineData& data, const program::Program& program,
                  const SymbolValues& symbols, const backend::KernelRegistry& kernels,
                  backend::Device& device, backend::TimingTable& timings, const LogSink& log) {
  const backend::DeviceKind kind(device);
  std::set<backend::TimingKey> seen;
  const auto tune_one = [&](const program::Instruction& instruction, uint32_t,
                            const LocatedInstruction& located) {
    const KernelProblem problem = located.problem(instruction.op, device.threads());
    const std::vector<const Kernel*> takers = kernels.takers(problem);
    if (takers.empty()) return;
    const backend::TimingKey key(kind, problem);
    if (!seen.insert(key).second) return;
    const std::vector<Way> ways = ways_of(takers, problem, device);
    if (ways.size() < 2) return;
    const backend::KernelRegistry::Choice known = kernels.choose(problem, timings.find(key));
    const Way fastest{known.kernel, known.algorithm};
    const bool is_there = std::find(ways.begin(), ways.end(), fastest) != ways.end();
    if (!known.times.empty() && is_there) return;
    const Candidates candidates = make_candidates(ways, problem, device, log);
    if (candidates.empty()) return;
    timings.set(key, time_all(candidates));
    cleave::log(log, LogLevel::kDebug,
                "tuned " + instruction.op + " " + instruction.name + ": " +
                    kernels.choose(problem, timings.find(key)).text());
  };
  for_each_work(data, program, symbols, tune_one);
}

}  // namespace cleave::runtime
