// The first extreme of long lines (behind reductions.cuh and arg_record.cuh), which lie as in
// arg_extreme.cuh. A line is cut into `splits` parts of `part` vectors, a block each; a second
// kernel joins what they found. What stands before it:
//   constexpr int kVector = 8;  // elements that are read at once; 1 where lines are no rows of
//   memory
extern "C" __global__ void __launch_bounds__(512)
    arg_extreme_parts(const int64_t extent, const int64_t inner, const int64_t splits,
                      const int64_t part, const T* x, Record* records, int64_t* y) {
  const int64_t line = blockIdx.x / splits;
  const int64_t begin = (blockIdx.x - line * splits) * part * kVector;
  const int64_t end = begin + part * kVector < extent ? begin + part * kVector : extent;
  const int64_t step = int64_t(blockDim.x) * kVector;
  x += line / inner * extent * inner + line % inner;
  Record record;
#pragma unroll 4
  for (int64_t e = begin + threadIdx.x * kVector; e < end; e += step) {
    if constexpr (kVector == 1) {
      record.take_next(widen(x[e * inner]), e);
    } else {
      const auto values = *reinterpret_cast<const Vector<T, kVector>*>(x + e);
#pragma unroll
      for (int i = 0; i < kVector; ++i) record.take_next(widen(values.at[i]), e + i);
    }
  }
  record = record_of_block(record);
  if (threadIdx.x > 0) return;
  if (splits == 1) {
    y[line] = record.index;
  } else {
    records[blockIdx.x] = record;
  }
}

// A warp a line.
extern "C" __global__ void __launch_bounds__(256)
    arg_extreme_join(const int64_t lines, const int64_t splits, const Record* records, int64_t* y) {
  const int64_t line = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  if (line >= lines) return;
  Record record;
  for (int64_t s = threadIdx.x % 32; s < splits; s += 32) {
    record.take_next(records[line * splits + s].value, records[line * splits + s].index);
  }
  record = record_of_warp(record);
  if (threadIdx.x % 32 == 0) y[line] = record.index;
}
