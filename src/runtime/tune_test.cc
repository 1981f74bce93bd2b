// Tuning: what is timed, when, and what is chosen by it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "backend/builtin_kernels.h"
#include "base/file.h"
#include "cleave/error.h"
#include "program/testing.h"
#include "runtime/engine_impl.h"
#include "runtime/runtime_impl.h"
#include "runtime/test_kernels.h"

namespace cleave {
namespace {

using program::testing::linear_engine;
using ::testing::HasSubstr;

constexpr int64_t kK = 12;
constexpr int64_t kN = 8;

// How often kernels were prepared, by name.
class Counts {
 public:
  void count(const std::string& kernel) {
    const std::lock_guard lock(mutex_);
    ++counts_[kernel];
  }
  int of(const std::string& kernel) const {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(kernel);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> counts_;
};

// So much time of the processor: what other programs take of it counts for no kernel.
void work_for(std::chrono::microseconds time) {
  const auto used = [] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  const auto until = used() + time;
  while (used() < until) {
  }
}

// A product that takes a while; or several, by algorithm, of which the first is the default.
class PacedKernel final : public backend::Kernel {
 public:
  using Pace = std::chrono::microseconds;
  using Paces = std::vector<std::pair<std::string, Pace>>;
  PacedKernel(std::string name, Pace pace, Counts& counts, Paces algorithms = {})
      : name_(std::move(name)), pace_(pace), counts_(counts), algorithms_(std::move(algorithms)) {}
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return name_; }
  std::optional<std::string> refuses(const backend::KernelProblem&) const override {
    return std::nullopt;
  }
  std::vector<std::string> algorithms(const backend::KernelProblem&,
                                      backend::KernelCache&) const override {
    std::vector<std::string> names;
    for (const auto& [algorithm, pace] : algorithms_) names.push_back(algorithm);
    return names;
  }
  std::optional<std::string> wants_tuning(const backend::KernelProblem&) const override {
    if (algorithms_.empty()) return std::nullopt;
    return "it guesses";
  }
  std::unique_ptr<backend::PreparedKernel> prepare(const backend::KernelProblem& problem,
                                                   backend::KernelCache&) const override {
    class Prepared final : public backend::PreparedKernel {
     public:
      Prepared(const backend::KernelProblem& problem, Pace pace, std::string algorithm)
          : inputs_(problem.inputs),
            outputs_(problem.outputs),
            pace_(pace),
            algorithm_(std::move(algorithm)) {}
      std::string_view algorithm() const override { return algorithm_; }
      void run(runtime::testing::Inputs in, runtime::testing::Outputs out,
               const backend::Launch&) const override {
        runtime::testing::multiply(inputs_, outputs_, in, out);
        work_for(pace_);
      }

     private:
      std::vector<backend::TensorView> inputs_;
      std::vector<backend::TensorView> outputs_;
      Pace pace_;
      std::string algorithm_;
    };
    for (const auto& [algorithm, pace] : algorithms_) {
      if (algorithm != problem.algorithm) continue;
      counts_.count(name_ + " " + algorithm);
      return std::make_unique<Prepared>(problem, pace, algorithm);
    }
    counts_.count(name_);
    return std::make_unique<Prepared>(problem, pace_, "");
  }

 private:
  std::string name_;
  Pace pace_;
  Counts& counts_;
  Paces algorithms_;
};

class Tuning : public ::testing::Test {
 protected:
  // By rule, the slow one is taken.
  backend::KernelRegistry kernels(bool with_fast = true) {
    backend::KernelRegistry registry;
    registry.add(std::make_shared<PacedKernel>("slow", std::chrono::microseconds(150), counts_));
    if (with_fast) {
      registry.add(std::make_shared<PacedKernel>("fast", std::chrono::microseconds(1), counts_));
    }
    return registry;
  }
  // The kernels that a run on `ranks` devices uses; `timings` becomes what is known after it.
  std::set<std::string> run(int ranks, RuntimeOptions options, backend::KernelRegistry registry,
                            int64_t columns = kN) {
    Runtime runtime = make_runtime(DeviceList::cpu(ranks), std::move(options), std::move(registry));
    const auto engine = linear_engine(ranks, kK, columns, false);
    ExecutionContext context = runtime.create_context(make_engine(engine.data, engine.weights));
    Timeline timeline;
    RunOptions traced;
    traced.timeline = &timeline;
    context.run({{"x", Tensor(DType::kFloat32, {4, kK})}}, traced);
    timings_ = runtime.timing_cache();
    peak_ = runtime.memory()[0].peak;
    std::set<std::string> names;
    for (const auto& events : timeline.ranks) {
      for (const auto& event : events) {
        if (!timeline.instructions[event.instruction].communication) names.insert(event.kernel);
      }
    }
    return names;
  }

  // One kernel of two algorithms, of which the one that it takes by itself is slow.
  backend::KernelRegistry algorithms(const std::string& fast = "fast") {
    using std::chrono::microseconds;
    backend::KernelRegistry registry;
    registry.add(std::make_shared<PacedKernel>(
        "library", microseconds(150), counts_,
        PacedKernel::Paces{{"slow", microseconds(150)}, {fast, microseconds(1)}}));
    return registry;
  }

  Counts counts_;
  TimingCache timings_;
  int64_t peak_ = 0;
};

using Names = std::set<std::string>;

TEST_F(Tuning, ChoosesTheFastest) {
  EXPECT_EQ(run(2, {}, kernels()), Names{"slow"});
  EXPECT_EQ(timings_.size(), 0u);
  const int64_t untuned_peak = peak_;
  RuntimeOptions options;
  options.tune = true;
  EXPECT_EQ(run(2, options, kernels()), Names{"fast"});
  EXPECT_EQ(timings_.size(), 1u);  // equal shares are one problem
  EXPECT_EQ(peak_, untuned_peak);  // what tuning allocates is no memory of the engine's
}

TEST_F(Tuning, TimesEachSizeOfUnevenShares) {
  RuntimeOptions options;
  options.tune = true;
  EXPECT_EQ(run(2, options, kernels(), /*columns=*/7), Names{"fast"});
  EXPECT_EQ(timings_.size(), 2u);
}

TEST_F(Tuning, TakesMemoryThatNoLimitCounts) {
  EXPECT_EQ(run(1, {}, kernels()), Names{"slow"});
  RuntimeOptions options;
  options.tune = true;
  options.memory_limit = peak_;
  EXPECT_EQ(run(1, options, kernels()), Names{"fast"});
}

TEST_F(Tuning, WhatIsKnownIsNotTimedAgain) {
  RuntimeOptions options;
  options.tune = true;
  run(2, options, kernels());
  const int slow = counts_.of("slow");
  const int fast = counts_.of("fast");
  EXPECT_GT(slow, 0);
  options.timing_cache = timings_;
  for (const bool tune : {false, true}) {
    options.tune = tune;
    EXPECT_EQ(run(2, options, kernels()), Names{"fast"});
  }
  EXPECT_EQ(counts_.of("slow"), slow);
  EXPECT_EQ(counts_.of("fast"), fast + 2 * 2);  // prepared once a rank and run
}

TEST_F(Tuning, AKernelThatIsGoneIsPassedOver) {
  RuntimeOptions options;
  options.tune = true;
  run(1, options, kernels());
  options.tune = false;
  options.timing_cache = timings_;
  std::vector<std::string> lines;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  EXPECT_EQ(run(1, options, kernels(/*with_fast=*/false)), Names{"slow"});
  EXPECT_THAT(lines, ::testing::Contains(
                         HasSubstr("slow (fast: the timing cache names it, but it is not there)")));
}

TEST_F(Tuning, ChoosesTheFastestAlgorithmOfAKernel) {
  run(2, {}, algorithms());
  EXPECT_EQ(counts_.of("library"), 2);
  RuntimeOptions options;
  options.tune = true;
  run(2, options, algorithms());
  EXPECT_EQ(timings_.size(), 1u);
  EXPECT_EQ(counts_.of("library"), 2);
  const int slow = counts_.of("library slow");
  const int fast = counts_.of("library fast");
  EXPECT_EQ(fast, slow + 2);  // both are timed, and every rank runs the fast one
  options.tune = false;
  options.timing_cache = timings_;
  run(2, options, algorithms());
  EXPECT_EQ(counts_.of("library fast"), fast + 2);
  EXPECT_EQ(counts_.of("library slow"), slow);
}

// Once an engine, whatever its ranks and sizes; not where the times are known.
TEST_F(Tuning, WhatShouldBeTunedIsSaid) {
  std::vector<std::string> warnings;
  RuntimeOptions options;
  options.log = [&](LogLevel level, std::string_view line) {
    if (level == LogLevel::kWarning) warnings.emplace_back(line);
  };
  const auto engine = linear_engine(2, kK, kN, false);
  const auto run_twice = [&](const backend::KernelRegistry& registry) {
    warnings.clear();
    Runtime runtime = make_runtime(DeviceList::cpu(2), options, registry);
    ExecutionContext context = runtime.create_context(make_engine(engine.data, engine.weights));
    for (const int64_t batch : {4, 5}) context.run({{"x", Tensor(DType::kFloat32, {batch, kK})}});
  };
  run_twice(kernels());
  EXPECT_THAT(warnings, ::testing::IsEmpty());
  run_twice(algorithms());
  EXPECT_THAT(warnings,
              ::testing::ElementsAre(::testing::AllOf(HasSubstr("see --tune"), HasSubstr("matmul"),
                                                      HasSubstr("it guesses"))));
  options.tune = true;
  run_twice(algorithms());
  EXPECT_THAT(warnings, ::testing::IsEmpty());
}

TEST_F(Tuning, AnAlgorithmThatIsGoneIsPassedOver) {
  RuntimeOptions options;
  options.tune = true;
  run(1, options, algorithms("old"));
  options.timing_cache = timings_;
  options.tune = false;
  std::vector<std::string> lines;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  EXPECT_EQ(run(1, options, algorithms("new")), Names{"library"});
  EXPECT_EQ(counts_.of("library"), 1);
  EXPECT_THAT(lines, ::testing::Contains(
                         ::testing::AllOf(HasSubstr("library algorithm old (tuned: "),
                                          HasSubstr("but it does not know that algorithm"))));
  // Tuning finds out what is there instead.
  options.tune = true;
  const int before = counts_.of("library new");
  run(1, options, algorithms("new"));
  EXPECT_GT(counts_.of("library new"), before + 1);
}

TEST_F(Tuning, WhatWasTimedWithoutAlgorithmsIsTimedAgain) {
  RuntimeOptions options;
  options.tune = true;
  run(1, options, kernels());
  options.timing_cache = timings_;
  backend::KernelRegistry registry = kernels(/*with_fast=*/false);
  registry.add(
      std::make_shared<PacedKernel>("fast", std::chrono::microseconds(150), counts_,
                                    PacedKernel::Paces{{"first", std::chrono::microseconds(150)},
                                                       {"second", std::chrono::microseconds(1)}}));
  run(1, options, registry);
  EXPECT_GT(counts_.of("fast second"), 1);
}

TEST_F(Tuning, OneKernelIsNoChoice) {
  RuntimeOptions options;
  options.tune = true;
  EXPECT_EQ(run(1, options, kernels(/*with_fast=*/false)), Names{"slow"});
  EXPECT_EQ(timings_.size(), 0u);
}

TEST_F(Tuning, TimingsArePreparedForAnotherProcess) {
  RuntimeOptions options;
  options.tune = true;
  run(2, options, kernels());
  const auto folder =
      std::filesystem::temp_directory_path() / ("cleave_timings_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const auto path = folder / "timings.json";
  timings_.save(path);
  const TimingCache read = TimingCache::load(path);
  EXPECT_EQ(read.size(), timings_.size());
  const std::string bytes = read_file(path);
  read.save(path);
  EXPECT_EQ(read_file(path), bytes);
  options.tune = false;
  options.timing_cache = read;
  EXPECT_EQ(run(2, options, kernels()), Names{"fast"});

  EXPECT_THROW(timings_.save(folder / "none" / "timings.json"), Error);
  EXPECT_THROW(TimingCache::load(folder / "absent.json"), Error);
  EXPECT_THROW(TimingCache::load(folder), Error);
  std::filesystem::remove_all(folder);
}

// The built-in kernels, at the opt sizes and without the weights.
TEST_F(Tuning, AnEngineIsTunedWithoutItsWeights) {
  class NoWeights final : public program::WeightSource {
   public:
    std::vector<uint64_t> pieces(size_t, int64_t) const override {
      ADD_FAILURE() << "weights are read";
      return {};
    }
    void read(size_t, int64_t, size_t, std::span<std::byte>) const override {}
  };
  const auto engine = linear_engine(2, kK, kN, false);
  const Engine without = make_engine(engine.data, std::make_shared<NoWeights>());
  const size_t matmuls = backend::builtin_cpu_kernels().of("matmul").size();
  const TimingCache timings = tune(without, DeviceList::cpu(2));
  EXPECT_EQ(timings.size(), matmuls > 2 ? 1u : 0u);  // tiled and plain alone never both take it
  RuntimeOptions options;
  options.timing_cache = timings;
  EXPECT_EQ(tune(without, DeviceList::cpu(2), options).size(), timings.size());
  EXPECT_THROW(tune(without, DeviceList::cpu(3)), Error);
}

}  // namespace
}  // namespace cleave
