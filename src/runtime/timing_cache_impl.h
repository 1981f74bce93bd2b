// What a TimingCache is.
#pragma once

#include "backend/timing_table.h"
#include "cleave/timing_cache.h"

namespace cleave {

struct TimingCacheImpl {
  backend::TimingTable table;
};

}  // namespace cleave
