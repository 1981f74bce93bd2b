// Rows of a table, in pieces of T; indices are of type I. `rows` is the number of indices, `pieces`
// that of a row's pieces.
extern "C" __global__ void gather(const T* data, const I* indices, T* out, const int64_t total,
                                  const Divisor pieces, const Divisor rows,
                                  const IndexRange range) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    const uint32_t item = pieces.divide(i);
    const uint32_t piece = i - item * pieces.value;
    const uint32_t outer = rows.divide(item);
    const int64_t at = range.position(int64_t(indices[item - outer * rows.value]));
    out[i] = at < 0 ? T{} : data[(outer * range.extent + at) * pieces.value + piece];
  }
}
