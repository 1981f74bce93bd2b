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
