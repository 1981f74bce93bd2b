// Checks plans of random graphs against the unsplit run, as many as asked for: the local graphs of
// every rank interpreted, and the engines on threads. Exit code 1 where any differs.
//
//   bench_random_plans --graphs 10000 --first-seed 0 --plans 4 --fp16 --times
#include "tests/property/random_plans.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <optional>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void report(uint64_t graphs, const cleave::testing::PlanCounts& counts, double seconds,
            bool times) {
  for (const std::string& mismatch : counts.mismatches) std::printf("%s\n", mismatch.c_str());
  for (const auto& [strategy, groups] : counts.strategies) {
    std::printf("  %-40s %10lld\n", strategy.c_str(), static_cast<long long>(groups));
  }
  for (const auto& [stage, took] : counts.seconds) {
    if (times) std::printf("  %-40s %10.3f s\n", stage.c_str(), took);
  }
  std::printf("%zu strategies reached (groups with each above)\n", counts.strategies.size());
  std::printf("%llu graphs, %lld plans, %lld engine runs, %zu mismatches, %.1f s\n",
              static_cast<unsigned long long>(graphs), static_cast<long long>(counts.plans),
              static_cast<long long>(counts.engine_runs), counts.mismatches.size(), seconds);
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t graphs = 10'000;
  uint64_t first_seed = 0;
  uint64_t plans = 4;
  bool times = false;
  bool fp16 = false;
  bool bf16 = false;
  CLI::App app("Checks plans of random graphs against the unsplit run");
  app.add_option("--graphs", graphs, "Random graphs")->capture_default_str();
  app.add_option("--first-seed", first_seed, "Seed of the first graph")->capture_default_str();
  app.add_option("--plans", plans, "Plans a graph")->capture_default_str();
  CLI::Option* const half = app.add_flag("--fp16", fp16, "Engines in float16");
  app.add_flag("--bf16", bf16, "Engines in bfloat16")->excludes(half);
  app.add_flag("--times", times, "Tells what each stage took");
  CLI11_PARSE(app, argc, argv);

  const Clock::time_point start = Clock::now();
  std::optional<cleave::Precision> precision;
  if (fp16) precision = cleave::Precision::kFP16;
  if (bf16) precision = cleave::Precision::kBF16;
  cleave::testing::RandomPlans check(plans, precision);
  for (uint64_t seed = first_seed; seed < first_seed + graphs; ++seed) {
    check.check_local_graphs(seed);
    check.check_engines(seed);
  }
  report(graphs, check.counts(), seconds_since(start), times);
  return check.counts().mismatches.empty() ? 0 : 1;
}
