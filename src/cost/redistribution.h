// What it costs to deal a tensor out anew: from one cut of it to another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cost/machine_model.h"
#include "types/cut.h"

namespace cleave::cost {

// The shards of one cut, in numbers: for each rank, the ranges that it holds of dimension `dim`.
struct Shards {
  Shards(int64_t dim, const layout::Cut& cut, int64_t ranks);

  struct Range {
    int64_t begin;
    int64_t end;
  };
  int64_t dim;
  std::vector<std::vector<Range>> by_rank;
};

// An all_to_all of a tensor of this shape: what ranks have to fetch from others costs what an
// all_to_all costs that fetches as much, what they hold themselves is copied. A halo is little of
// the first and much of the second.
double redistribution_us(const MachineModel& machine, int64_t devices,
                         std::span<const int64_t> shape, int64_t element_bytes, const Shards& from,
                         const Shards& to);

}  // namespace cleave::cost
