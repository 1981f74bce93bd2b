// What the kernels of attention have in common (ops/attention/cuda.cc lays it out).
struct Attention {
  int64_t q[4], k[4], v[4], out[4], mask[4];  // strides; of dimensions of size 1: 0
  int64_t batches, heads, rows, depth, keys, width;
  int64_t group, head_offset, kv_offset;
  int64_t visible;  // causal: row i sees columns < i + visible
  double scale;

  __device__ int64_t key_head(int64_t head) const {
    return (head_offset + head) / group - kv_offset;
  }
  // How many columns a row sees.
  __device__ int64_t seen(int64_t row) const {
    if (!kCausal) return keys;
    const int64_t end = row + visible;
    return end < 0 ? 0 : end > keys ? keys : end;
  }
};

__device__ inline int64_t place(const int64_t (&strides)[4], int64_t b, int64_t h, int64_t i,
                                int64_t j) {
  return b * strides[0] + h * strides[1] + i * strides[2] + j * strides[3];
}

// A score with what the mask says: what it hides is -inf. M is void where there is no mask.
template <class A>
__device__ inline A masked(A score, bool shown) {
  return shown ? score : -A(__int_as_float(0x7f800000));
}
template <class A>
__device__ inline A masked(A score, A added) {
  return added == -A(__int_as_float(0x7f800000)) ? added : score + added;
}
template <class A>
__device__ inline A masked(A score, Half added) {
  return masked(score, A(widen(added)));
}
template <class A>
__device__ inline A masked(A score, BFloat16 added) {
  return masked(score, A(widen(added)));
}
