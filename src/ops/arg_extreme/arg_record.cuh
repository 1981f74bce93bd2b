// The first extreme of some elements (behind reductions.cuh). What stands before it:
//   using T = float;
//   constexpr bool kLargest = true;
using W = Working<T>;

struct Record {
  W value = W(0);
  int64_t index = -1;  // of nothing

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
  // An element behind all that were taken.
  __device__ void take_next(W other, int64_t other_index) {
    const bool is_better =
        !is_nan(value) && (is_nan(other) || (kLargest ? other > value : other < value));
    if (!is_better && index >= 0) return;
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

// The first warp gets the extreme of a block of whole warps. Once a kernel.
__device__ inline Record record_of_block(Record record) {
  __shared__ W values[32];
  __shared__ int64_t indices[32];
  record = record_of_warp(record);
  if (threadIdx.x % 32 == 0) {
    values[threadIdx.x / 32] = record.value;
    indices[threadIdx.x / 32] = record.index;
  }
  __syncthreads();
  Record other;
  if (threadIdx.x < blockDim.x / 32) {
    other.value = values[threadIdx.x];
    other.index = indices[threadIdx.x];
  }
  return threadIdx.x < 32 ? record_of_warp(other) : other;
}
