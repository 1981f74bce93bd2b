// The first extreme of lines (behind reductions.cuh). Line l begins at l / inner · extent · inner +
// l % inner, its elements are `inner` apart. What stands before it:
//   using T = float;
//   constexpr bool kLargest = true;
//   constexpr bool kWholeBlock = true;  // a block a line; else a warp a line where `inner` is 1
//                                       // and 8 threads a line elsewhere
using W = Working<T>;

struct Record {
  W value;
  int64_t index;  // -1: of nothing

  // Whether `other` is the extreme of both: NaN beats every number, of equals the first counts.
  __device__ bool yields_to(W other, int64_t other_index) const {
    if (other_index < 0 || index < 0) return other_index >= 0;
    if (is_nan(value) || is_nan(other)) {
      if (is_nan(value) != is_nan(other)) return is_nan(other);
    } else if (value != other) {
      return kLargest ? other > value : other < value;
    }
    return other_index < index;
  }
  __device__ void take(W other, int64_t other_index) {
    if (!yields_to(other, other_index)) return;
    value = other;
    index = other_index;
  }
};

// Every lane gets the extreme of all.
__device__ inline Record record_of_warp(Record record) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    const W value = shuffle_xor(record.value, mask);
    const int64_t index = shuffle_xor(record.index, mask);
    record.take(value, index);
  }
  return record;
}

__device__ inline Record record_of_line(const T* line, int64_t extent, int64_t inner, int64_t first,
                                        int64_t step) {
  Record record{W(0), -1};
#pragma unroll 4
  for (int64_t e = first; e < extent; e += step) record.take(widen(line[e * inner]), e);
  return record;
}

extern "C" __global__ void __launch_bounds__(1024)
    arg_extreme(const int64_t lines, const int64_t extent, const int64_t inner, const T* x,
                int64_t* y) {
  __shared__ W values[256];
  __shared__ int64_t indices[256];
  if (kWholeBlock || inner == 1) {
    const int threads = kWholeBlock ? blockDim.x : 32;
    const int64_t line = int64_t(blockIdx.x) * (blockDim.x / threads) + threadIdx.x / threads;
    if (line >= lines) return;
    const T* from = x + line / inner * extent * inner + line % inner;
    Record record = record_of_line(from, extent, inner, threadIdx.x % threads, threads);
    record = record_of_warp(record);
    if constexpr (kWholeBlock) {
      if (threadIdx.x % 32 == 0) {
        values[threadIdx.x / 32] = record.value;
        indices[threadIdx.x / 32] = record.index;
      }
      __syncthreads();
      if (threadIdx.x >= 32) return;
      record = {W(0), -1};
      if (threadIdx.x < blockDim.x / 32) record = {values[threadIdx.x], indices[threadIdx.x]};
      record = record_of_warp(record);
    }
    if (threadIdx.x % threads == 0) y[line] = record.index;
    return;
  }
  const int lane = threadIdx.x % 32;
  const int worker = threadIdx.x / 32;
  const int workers = blockDim.x / 32;
  const int64_t line = int64_t(blockIdx.x) * 32 + lane;
  const T* from = x + line / inner * extent * inner + line % inner;
  Record record{W(0), -1};
  if (line < lines) record = record_of_line(from, extent, inner, worker, workers);
  values[threadIdx.x] = record.value;
  indices[threadIdx.x] = record.index;
  __syncthreads();
  if (worker != 0 || line >= lines) return;
  for (int w = 1; w < workers; ++w) record.take(values[w * 32 + lane], indices[w * 32 + lane]);
  y[line] = record.index;
}
