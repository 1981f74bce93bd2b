// What ranks that cannot read each other's memory send: messages, packed and unpacked by strided
// copies. Offsets, strides and sizes are in bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "comm/copy_step.h"

namespace cleave {

// A strided copy of runs of `run` bytes, in a fixed size that device code reads.
struct CopyRuns {
  static constexpr int kLoops = 3;
  int64_t begin = 0;  // what the entries of its table before it copy
  int64_t src = 0;
  int64_t dst = 0;
  int64_t run = 0;
  int64_t count[kLoops] = {1, 1, 1};  // outermost first
  int64_t src_stride[kLoops] = {};
  int64_t dst_stride[kLoops] = {};

  int64_t bytes() const { return run * count[0] * count[1] * count[2]; }
};

// Copies that are carried out together.
struct CopyTable {
  std::vector<CopyRuns> entries;
  int64_t bytes = 0;
  int64_t alignment = 16;  // a power of two that divides all offsets, strides and runs; 16 at most
};

// Messages lie in staging memory at multiples of this, as the widest loads need it.
inline constexpr int64_t kMessageAlignment = 16;

// A message between two ranks, on one of them: rows of `run` bytes, one behind the other in staging
// memory; in a tensor they begin a stride apart. A message of one row is one stretch.
struct Message {
  int64_t bytes = 0;
  bool staged = false;     // in staging memory; else in the tensor
  int64_t offset = 0;      // where it begins there
  int64_t run = 0;         // `bytes` where it is staged or one stretch
  int64_t src_stride = 0;  // in the tensor of who sends it; 0 where it is one row
  int64_t dst_stride = 0;  // in that of who receives it
};

// What one rank does so that a tensor is brought from one distribution to another.
struct ExchangePlan {
  std::vector<Message> sends;     // by peer; the rank itself has none
  std::vector<Message> receives;  // the same
  CopyTable pack;                 // source → staging for sends
  CopyTable local;                // source → destination
  CopyTable unpack;               // staging for receives → destination
  int64_t send_staging = 0;       // sizes of staging memory
  int64_t receive_staging = 0;
  int64_t largest = 0;  // message between any two ranks, the same on all
};

// Whether messages of several rows that are not short may stay in the tensors, if the largest has
// so many bytes; where they may not, all are one stretch.
using TakesRows = std::function<bool(int64_t largest)>;

// `steps_of` are the steps of all ranks (comm/copy_step.h). Rows stay in the tensors of both sides.
ExchangePlan plan_exchange(std::span<const std::vector<CopyStep>> steps_of, int rank,
                           int64_t element_size, const TakesRows& takes_rows);

// What one rank does so that it holds its pieces of a reduced tensor: it sends each rank, itself
// included, its term of that rank's pieces, and reduces what it gets.
struct ScatterPlan {
  std::vector<Message> sends;  // by rank; its own is not sent, but read where it lies
  CopyTable pack;              // source → staging for sends
  Message result;              // the reduced pieces; where `staged`, `unpack` spreads them
  CopyTable unpack;            // reduced pieces → destination
  int64_t send_staging = 0;
  int64_t largest = 0;  // message between any two ranks, the same on all
};

// `steps_of` are the scatter_steps of all ranks. Rows are read where they lie; all ranks have those
// of a part in the same place.
ScatterPlan plan_scatter(std::span<const std::vector<CopyStep>> steps_of, int rank,
                         int64_t element_size, const TakesRows& takes_rows);

// Carries out a table between memories of the host: what device code does.
void run_table(const CopyTable& table, const void* src, void* dst);

}  // namespace cleave
