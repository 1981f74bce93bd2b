// Elements along a dimension that indices of type I name. A is what updates are made in, and
// differs from T for 16-bit types that are reduced.
struct Lines {
  IndexRange range;
  Divisor inner;  // elements behind the dimension
  Divisor count;  // indices along it
};

extern "C" __global__ void gather_elements(const Lines lines, const int64_t total, const T* data,
                                           const I* indices, T* out) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    const uint32_t row = lines.inner.divide(i);
    const uint32_t outer = lines.count.divide(row);
    const int64_t at = lines.range.position(int64_t(indices[i]));
    const int64_t column = i - row * lines.inner.value;
    out[i] = at < 0 ? T{} : data[(outer * lines.range.extent + at) * lines.inner.value + column];
  }
}

// A line along the dimension belongs to one thread, which takes its updates in order.
extern "C" __global__ void scatter_elements(const Lines lines, const int64_t all, const I* indices,
                                            const T* updates, A* out) {
  const uint32_t stride = gridDim.x * blockDim.x;
  const int64_t inner = lines.inner.value;
  for (uint32_t line = blockIdx.x * blockDim.x + threadIdx.x; line < all; line += stride) {
    const uint32_t outer = lines.inner.divide(line);
    const int64_t column = line - outer * lines.inner.value;
    const int64_t from = int64_t(outer) * lines.count.value * inner + column;
    A* to = out + outer * lines.range.extent * inner + column;
    for (int64_t e = 0; e < lines.count.value; ++e) {
      const int64_t at = lines.range.position(int64_t(indices[from + e * inner]));
      if (at >= 0) to[at * inner] = updated(to[at * inner], updates[from + e * inner]);
    }
  }
}

// The same for few lines: a line belongs to a block. Of updates that are taken at once, the first
// of each element takes those behind it too.
constexpr int kThreads = 128;
extern "C" __global__ void __launch_bounds__(kThreads)
    scatter_long_lines(const Lines lines, const int64_t all, const I* indices, const T* updates,
                       A* out) {
  __shared__ int64_t places[kThreads];
  __shared__ T changes[kThreads];
  const int64_t inner = lines.inner.value;
  for (int64_t line = blockIdx.x; line < all; line += gridDim.x) {
    const int64_t from = line / inner * lines.count.value * inner + line % inner;
    A* to = out + line / inner * lines.range.extent * inner + line % inner;
    for (int64_t first = 0; first < lines.count.value; first += kThreads) {
      const int64_t e = first + threadIdx.x;
      const bool is_there = e < lines.count.value;
      const int64_t at = is_there ? lines.range.position(int64_t(indices[from + e * inner])) : -1;
      places[threadIdx.x] = at;
      changes[threadIdx.x] = is_there ? updates[from + e * inner] : T{};
      __syncthreads();
      bool is_first = at >= 0;
      for (int other = 0; is_first && other < threadIdx.x; ++other) {
        is_first = places[other] != at;
      }
      if (is_first) {
        A element = to[at * inner];
        for (int other = threadIdx.x; other < kThreads; ++other) {
          if (places[other] == at) element = updated(element, changes[other]);
        }
        to[at * inner] = element;
      }
      __syncthreads();
    }
  }
}

// Where updates only replace: the number of each element's last one, counted from 1, is found by
// all threads at once ...
extern "C" __global__ void find_last(const Lines lines, const int64_t total, const I* indices,
                                     int32_t* last) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    const uint32_t row = lines.inner.divide(i);
    const uint32_t outer = lines.count.divide(row);
    const int64_t at = lines.range.position(int64_t(indices[i]));
    const int64_t column = i - row * lines.inner.value;
    if (at < 0) continue;
    const int64_t element = (outer * lines.range.extent + at) * lines.inner.value + column;
    atomicMax(&last[element], int32_t(row - outer * lines.count.value) + 1);
  }
}

// ... and that one is written.
extern "C" __global__ void write_last(const Lines lines, const int64_t elements, const T* data,
                                      const T* updates, const int32_t* last, const Divisor extent,
                                      T* out) {
  const uint32_t stride = gridDim.x * blockDim.x;
  const int64_t inner = lines.inner.value;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < elements; i += stride) {
    const uint32_t row = lines.inner.divide(i);
    const uint32_t outer = extent.divide(row);
    const int64_t column = i - row * lines.inner.value;
    const int64_t first = int64_t(outer) * lines.count.value * inner + column;
    out[i] = last[i] == 0 ? data[i] : updates[first + (last[i] - 1) * inner];
  }
}
