// Any legal plan on any graph equals the unsplit run: the check, for tests and for whole runs over
// many graphs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cleave/builder.h"
#include "cleave/runtime.h"
#include "ops/registry.h"

namespace cleave::testing {

// What was checked, and what was wrong.
struct PlanCounts {
  int64_t plans = 0;        // whose local graphs were interpreted
  int64_t engine_runs = 0;  // of engines on threads
  // How many fusion groups had each strategy: "matmul n", cuts left out.
  std::map<std::string, int64_t> strategies;
  // What the stages of the checks took in all, in their order.
  std::vector<std::pair<std::string, double>> seconds;
  // "graph 7 plan 2 ranks 3: what differed", one for each plan that failed.
  std::vector<std::string> mismatches;
};

// Graph `seed` is random_model(seed); its plan p is drawn for 2, 3 or 4 ranks with random costs,
// as far as there are devices for them (tests/support/test_backend.h).
class RandomPlans {
 public:
  // `precision`: which the engines may use.
  explicit RandomPlans(uint64_t plans_a_graph, std::optional<Precision> precision = std::nullopt);

  // The local graphs of each plan, interpreted for all ranks together, give the bits of the whole
  // graph on every rank, and hold the collectives that were planned.
  void check_local_graphs(uint64_t seed);
  // The engine of each plan, run on threads, gives the bits of the whole graph.
  void check_engines(uint64_t seed);

  const PlanCounts& counts() const { return counts_; }

 private:
  template <class Check>
  void for_each_plan(uint64_t seed, Check&& check);
  // Returns what `work` does, and adds the time that it takes to the stage's.
  template <class Work>
  auto timed(const char* stage, Work&& work);

  DType type() const;

  uint64_t plans_a_graph_;
  std::optional<Precision> precision_;
  int64_t most_ranks_;  // as many as there are devices for
  ops::Registry registry_;
  std::map<int64_t, Runtime> runtimes_;  // by ranks
  PlanCounts counts_;
};

}  // namespace cleave::testing
