// Depth-first branch and bound over a core.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/solver/core.h"

namespace cleave::solver {

// The best assignment known and what must be beaten; and the work done.
class Incumbent {
 public:
  // `whole`: costs differ by at least 1.
  explicit Incumbent(bool whole) : whole_(whole) {}
  bool offer(const std::vector<uint32_t>& values, double value) {
    if (value >= value_) return false;
    values_ = values;
    value_ = value;
    return true;
  }
  const std::vector<uint32_t>& values() const { return values_; }
  double value() const { return value_; }
  // Assignments that cost this much or more are of no interest.
  double cutoff() const;

 private:
  bool whole_;
  std::vector<uint32_t> values_;
  double value_ = kForbidden;
};

class BranchAndBound {
 public:
  // Ends when `operations` reaches `max_operations`. `value`: the cost of an assignment already
  // known; only cheaper ones are looked for.
  BranchAndBound(const Core& core, double value, uint64_t& operations, uint64_t max_operations,
                 Statistics& statistics);

  // Passes of the bound until they gain little, with rounding. False: nothing is cheaper than the
  // incumbent.
  bool tighten_root(CoreState& state);
  // Searches all of `state`. Returns a bound on what it did not finish; kForbidden if it did.
  double explore(CoreState& state);

  // values(): empty where none was found below `value`.
  const Incumbent& incumbent() const { return incumbent_; }

 private:
  struct Branch {
    size_t variable;
    uint32_t value;
  };
  bool tighten(CoreState& state, int max_passes, double least_gain);
  // Offers what `values` become by moves of single variables and, if that is promising, of forests.
  void offer(std::vector<uint32_t> values);
  std::optional<Branch> choose(const CoreState& state);

  const Core& core_;
  Incumbent incumbent_;
  uint64_t& operations_;
  uint64_t max_operations_;
  Statistics& statistics_;
  size_t depth_ = 0;
};

}  // namespace cleave::solver
