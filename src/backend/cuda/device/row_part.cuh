// Rows that the threads of a warp or a block hold in registers (behind reductions.cuh).

// kPieces vectors of kCount elements each, thread t having vectors t, t + threads, ...
template <class T, int kCount, int kPieces>
struct RowPart {
  Working<T> at[kPieces][kCount];

  // Elements behind the row's end become `beyond`. The row's length is a multiple of kCount.
  __device__ void load(const T* row, int64_t length, int thread, int threads, Working<T> beyond) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      const int64_t first = int64_t(p * threads + thread) * kCount;
      if (first < length) {
        const auto values = *reinterpret_cast<const Vector<T, kCount>*>(row + first);
#pragma unroll
        for (int i = 0; i < kCount; ++i) at[p][i] = widen(values.at[i]);
      } else {
#pragma unroll
        for (int i = 0; i < kCount; ++i) at[p][i] = beyond;
      }
    }
  }
  __device__ void store(T* row, int64_t length, int thread, int threads) const {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      const int64_t first = int64_t(p * threads + thread) * kCount;
      if (first >= length) continue;
      Vector<T, kCount> values;
#pragma unroll
      for (int i = 0; i < kCount; ++i) values.at[i] = narrow<T>(at[p][i]);
      *reinterpret_cast<Vector<T, kCount>*>(row + first) = values;
    }
  }
};
