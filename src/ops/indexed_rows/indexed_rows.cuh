// Rows that tuples of indices of type I name (types/row_index.h). Gathered rows are moved in pieces
// of P.
constexpr int kMostDepth = 8;
struct RowIndex {
  IndexRange ranges[kMostDepth];
  int32_t depth;
  Divisor items;  // tuples of one batch

  // The row of tuple number `item` of all; -1 where an index is outside.
  __device__ int64_t row(const I* indices, uint32_t item) const {
    const I* tuple = indices + int64_t(item) * depth;
    int64_t row = items.divide(item);
    for (int d = 0; d < depth; ++d) {
      const int64_t position = ranges[d].position(int64_t(tuple[d]));
      if (position < 0) return -1;
      row = row * ranges[d].extent + position;
    }
    return row;
  }
};

extern "C" __global__ void gather_rows(const RowIndex index, const Divisor pieces,
                                       const int64_t total, const P* data, const I* indices,
                                       P* out) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    const uint32_t item = pieces.divide(i);
    const int64_t row = index.row(indices, item);
    out[i] = row < 0 ? P{} : data[row * pieces.value + (i - item * pieces.value)];
  }
}

// The row of each update (-1: none), and of each row the last update, counted from 1.
extern "C" __global__ void find_rows(const RowIndex index, const int64_t items, const I* indices,
                                     int32_t* rows, int32_t* last) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < items; i += stride) {
    const int64_t row = index.row(indices, i);
    rows[i] = int32_t(row);
    if (row >= 0) atomicMax(&last[row], int32_t(i) + 1);
  }
}

// The last update of each row replaces it.
extern "C" __global__ void replace_rows(const Divisor pieces, const int64_t total,
                                        const int32_t* rows, const int32_t* last, const P* updates,
                                        P* out) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    const uint32_t item = pieces.divide(i);
    const int64_t row = rows[item];
    if (row < 0 || last[row] != int32_t(item) + 1) continue;
    out[row * pieces.value + (i - item * pieces.value)] = updates[i];
  }
}

// A block makes a tile of a row: it looks through all updates up to the row's last one, and takes
// those of the row in order.
constexpr int kThreads = 128;
extern "C" __global__ void __launch_bounds__(kThreads)
    reduce_rows(const int64_t tiles, const int64_t work, const int64_t inner, const int32_t* rows,
                const int32_t* last, const T* data, const T* updates, T* out) {
  __shared__ uint32_t found[kThreads / 32];
  for (int64_t i = blockIdx.x; i < work; i += gridDim.x) {
    const int64_t item = i / tiles;
    const int32_t row = rows[item];
    if (row < 0 || last[row] != int32_t(item) + 1) continue;
    const int64_t column = i % tiles * kThreads + threadIdx.x;
    const bool has_element = column < inner;
    A element = has_element ? A(widen(data[row * inner + column])) : A{};
    for (int64_t first = 0; first <= item; first += kThreads) {
      const int64_t other = first + threadIdx.x;
      const uint32_t bits = __ballot_sync(0xffffffffu, other <= item && rows[other] == row);
      __syncthreads();
      if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = bits;
      __syncthreads();
      for (int word = 0; word < kThreads / 32; ++word) {
        for (uint32_t left = found[word]; left != 0; left &= left - 1) {
          const int64_t update = first + word * 32 + (__ffs(left) - 1);
          if (has_element) element = updated(element, updates[update * inner + column]);
        }
      }
    }
    if (has_element) out[row * inner + column] = narrow<T>(element);
  }
}
