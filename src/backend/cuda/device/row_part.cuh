// Rows that some lanes of a warp or the threads of a block hold in registers (behind
// reductions.cuh). What stands before it:
//   using T = Half;
//   constexpr bool kWholeBlock = true;  // a block a row, else
//   constexpr int kLanes = 8;           // so many lanes a row
//   constexpr int kThreads = 128;       // of a block

// Blocks that a multiprocessor has room for: others read while one adds up.
constexpr int kRowBlocks =
    !kWholeBlock || sizeof(Working<T>) > 4 || kThreads > 768 ? 1 : 1536 / kThreads;

// A thread's row, and its place among those that have it. Threads that are left over do what those
// of the last row do, and are not there when it is written.
struct RowThread {
  static constexpr int threads = kWholeBlock ? kThreads : kLanes;
  int thread = threadIdx.x % threads;
  int64_t row = int64_t(blockIdx.x) * (kThreads / threads) + threadIdx.x / threads;
  bool there;

  __device__ explicit RowThread(int64_t rows) {
    there = row < rows;
    if (!there) row = rows - 1;
  }
};

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
