// Device code of collectives. Functions put their work on a stream of the current device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "comm/message_plan.h"
#include "types/dtype.h"
#include "types/reduce_op.h"

namespace cleave::nccl {

// The largest group: GPUs that one process drives.
inline constexpr int kMostRanks = 16;

// Where device code is put, and the size of the device it is put on.
struct Launch {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
  bool overlaps = false;  // see code_overlaps
};

// Whether kernels may be started on the current device while the stream's last one still runs: it
// can do that (compute capability 9.0) and its device code was compiled to wait.
bool code_overlaps();

// The terms of a reduction, in the order in which they are combined.
struct Terms {
  const void* at[kMostRanks] = {};
  int count = 0;
};

// dst[i] = terms.at[0][i] op terms.at[1][i] op ..., see Communicator for the rules of each type.
// `dst` may be one of the terms.
void reduce_terms(const Terms& terms, int64_t count, DType type, ReduceOp op, void* dst,
                  const Launch& launch);

// Tables of up to this many entries travel as a parameter of the kernel; longer ones have to be in
// the device's memory.
inline constexpr size_t kInlineEntries = 32;

// Carries out a table. `on_device` holds the entries of a long one, and is null for a short one.
void copy_runs(const CopyTable& table, const CopyRuns* on_device, const void* src, void* dst,
               const Launch& launch);

}  // namespace cleave::nccl
