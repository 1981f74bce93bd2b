// The first k elements of lines in order (behind reductions.cuh and top_order.cuh): a thread counts
// what comes before its element. For any k, with work that grows with the square of a line. A block
// has 256 elements of a line; lines lie as in top_k_select.cuh.
extern "C" __global__ void __launch_bounds__(256)
    top_k_ranks(const int64_t extent, const int64_t inner, const int64_t k, const T* x, T* values,
                int64_t* indices) {
  __shared__ Key keys[256];
  const int64_t parts = (extent + 255) / 256;
  const int64_t line_index = blockIdx.x / parts;
  const int64_t outer = line_index / inner;
  const int64_t column = line_index - outer * inner;
  const T* line = x + outer * extent * inner + column;
  const int64_t mine = (blockIdx.x - line_index * parts) * 256 + threadIdx.x;
  const bool inside = mine < extent;
  const Key key = inside ? key_of(line[mine * inner]) : Key(0);
  int64_t rank = 0;
  for (int64_t begin = 0; begin < extent; begin += 256) {
    const int64_t other = begin + threadIdx.x;
    __syncthreads();
    if (other < extent) keys[threadIdx.x] = key_of(line[other * inner]);
    __syncthreads();
    const int count = extent - begin < 256 ? int(extent - begin) : 256;
    for (int i = 0; i < count; ++i) {
      rank += comes_before(keys[i], uint32_t(begin + i), key, uint32_t(mine));
    }
  }
  if (!inside || rank >= k) return;
  const int64_t to = (outer * k + rank) * inner + column;
  indices[to] = mine;
  values[to] = line[mine * inner];
}
