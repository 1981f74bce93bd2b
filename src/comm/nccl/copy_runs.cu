// Strided copies within one device's memory: how messages are packed and unpacked.
#include <algorithm>
#include <bit>
#include <limits>

#include "comm/nccl/check.h"
#include "comm/nccl/kernels.h"
#include "comm/nccl/overlap.cuh"

namespace cleave::nccl {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;

struct InlineTable {
  CopyRuns entries[kInlineEntries];
};

// The last entry that begins at or before byte `begin`.
__device__ const CopyRuns& entry_of(const CopyRuns* entries, int count, int64_t begin) {
  int low = 0;
  int high = count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (entries[middle].begin <= begin) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return entries[low];
}

// A thread copies a unit of sizeof(Unit) bytes at a time. Units are counted by an Index: 32 bits,
// where they do, divide much faster than 64.
template <class Unit, class Index>
__device__ void copy(const CopyRuns* entries, int count, Index units, const char* src, char* dst) {
  constexpr int64_t kWidth = sizeof(Unit);
  const Index step = Index{gridDim.x} * kThreads;
  for (Index i = Index{blockIdx.x} * kThreads + threadIdx.x; i < units; i += step) {
    const CopyRuns& entry = entry_of(entries, count, static_cast<int64_t>(i) * kWidth);
    const Index unit = i - static_cast<Index>(entry.begin / kWidth);
    const Index run = static_cast<Index>(entry.run / kWidth);
    Index row = unit / run;
    const Index column = unit - row * run;
    int64_t from = entry.src + static_cast<int64_t>(column) * kWidth;
    int64_t to = entry.dst + static_cast<int64_t>(column) * kWidth;
#pragma unroll
    for (int loop = CopyRuns::kLoops - 1; loop >= 0; --loop) {
      const Index turns = static_cast<Index>(entry.count[loop]);
      if (turns == 1) continue;
      const Index next = row / turns;
      const Index turn = row - next * turns;
      from += static_cast<int64_t>(turn) * entry.src_stride[loop];
      to += static_cast<int64_t>(turn) * entry.dst_stride[loop];
      row = next;
    }
    *reinterpret_cast<Unit*>(dst + to) = *reinterpret_cast<const Unit*>(src + from);
  }
}

template <class Unit, class Index>
__global__ void __launch_bounds__(kThreads)
    copy_inline_kernel(const __grid_constant__ InlineTable table, int count, Index units,
                       const char* src, char* dst) {
  await_stream();
  copy<Unit, Index>(table.entries, count, units, src, dst);
}

template <class Unit, class Index>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(const CopyRuns* entries, int count, Index units, const char* src, char* dst) {
  await_stream();
  copy<Unit, Index>(entries, count, units, src, dst);
}

template <class Unit, class Index>
void start(const CopyTable& table, const CopyRuns* on_device, const char* src, char* dst,
           const Launch& launch) {
  const auto units = static_cast<Index>(table.bytes / static_cast<int64_t>(sizeof(Unit)));
  const int64_t most = int64_t{launch.multiprocessors} * kBlocksPerMultiprocessor;
  const auto blocks = static_cast<unsigned>(
      std::min<int64_t>(most, (static_cast<int64_t>(units) + kThreads - 1) / kThreads));
  const int count = static_cast<int>(table.entries.size());
  constexpr const char* kDuring = "starting a copy";
  if (on_device != nullptr) {
    start_kernel(copy_kernel<Unit, Index>, {blocks, kThreads}, launch, kDuring, on_device, count,
                 units, src, dst);
  } else {
    InlineTable copied;
    std::copy(table.entries.begin(), table.entries.end(), copied.entries);
    start_kernel(copy_inline_kernel<Unit, Index>, {blocks, kThreads}, launch, kDuring, copied,
                 count, units, src, dst);
  }
}

template <class Unit>
void start(const CopyTable& table, const CopyRuns* on_device, const char* src, char* dst,
           const Launch& launch) {
  if (table.bytes / static_cast<int64_t>(sizeof(Unit)) < std::numeric_limits<int32_t>::max()) {
    start<Unit, uint32_t>(table, on_device, src, dst, launch);
  } else {
    start<Unit, uint64_t>(table, on_device, src, dst, launch);
  }
}

}  // namespace

void copy_runs(const CopyTable& table, const CopyRuns* on_device, const void* src, void* dst,
               const Launch& launch) {
  if (table.bytes == 0) return;
  const auto* from = static_cast<const char*>(src);
  auto* to = static_cast<char*>(dst);
  const auto bits = static_cast<uint64_t>(table.alignment) | reinterpret_cast<uint64_t>(from) |
                    reinterpret_cast<uint64_t>(to);
  switch (std::min(std::countr_zero(bits), 4)) {
    case 0:
      return start<uint8_t>(table, on_device, from, to, launch);
    case 1:
      return start<uint16_t>(table, on_device, from, to, launch);
    case 2:
      return start<uint32_t>(table, on_device, from, to, launch);
    case 3:
      return start<uint64_t>(table, on_device, from, to, launch);
    default:
      return start<uint4>(table, on_device, from, to, launch);
  }
}

}  // namespace cleave::nccl
