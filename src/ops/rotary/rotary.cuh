// Rotary embedding of T: kCount pairs a thread. Where kAnglesFollow, their angles lie one behind
// the other. Spaces have the operands cos, sin, x, y; `half` is the number of a row's pairs.
template <bool kFollow>
__device__ inline Vector<T, kCount> read_angles(const T* angles, const int64_t stride) {
  if constexpr (kFollow) {
    return *reinterpret_cast<const Vector<T, kCount>*>(angles);
  } else {
    Vector<T, kCount> read;
#pragma unroll
    for (int i = 0; i < kCount; ++i) read.at[i] = angles[i * stride];
    return read;
  }
}

extern "C" __global__ void rotary(const Space<4> rows, const Divisor pieces, const int64_t total,
                                  const int64_t half, const int64_t cos_stride,
                                  const int64_t sin_stride, const T* cosines, const T* sines,
                                  const T* x, T* y) {
  using A = Working<T>;
  using Piece = Vector<T, kCount>;
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < total; i += stride) {
    const uint32_t row = pieces.divide(i);
    const int64_t pair = int64_t(i - row * pieces.value) * kCount;
    int64_t at[4];
    rows.locate(row, at);
    const Piece c = read_angles<kAnglesFollow>(cosines + at[0] + pair * cos_stride, cos_stride);
    const Piece s = read_angles<kAnglesFollow>(sines + at[1] + pair * sin_stride, sin_stride);
    // Where two pieces begin that hold the pairs' elements.
    const int64_t first = kInterleaved ? 2 * pair : pair;
    const int64_t second = first + (kInterleaved ? kCount : half);
    Piece in[2] = {*reinterpret_cast<const Piece*>(x + at[2] + first),
                   *reinterpret_cast<const Piece*>(x + at[2] + second)};
    Piece out[2];
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const int p = kInterleaved ? 2 * k : k;
      const int q = kInterleaved ? 2 * k + 1 : k + kCount;
      const A a = widen(in[p / kCount].at[p % kCount]);
      const A b = widen(in[q / kCount].at[q % kCount]);
      const A cosine = widen(c.at[k]);
      const A sine = widen(s.at[k]);
      out[p / kCount].at[p % kCount] = narrow<T>(a * cosine - b * sine);
      out[q / kCount].at[q % kCount] = narrow<T>(b * cosine + a * sine);
    }
    *reinterpret_cast<Piece*>(y + at[3] + first) = out[0];
    *reinterpret_cast<Piece*>(y + at[3] + second) = out[1];
  }
}
