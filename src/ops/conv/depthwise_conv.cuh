// Depthwise convolutions of T where channels lie innermost: a thread makes kVector channels of
// kPlaces results that follow each other along the last dimension (ops/conv/cuda_depthwise.cc lays
// out the struct). Weights are [tap][channel]. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;    // channels that are read at once
//   constexpr int kPlaces = 4;
//   constexpr int kTaps = 7;      // along the last dimension
//   constexpr int kStride = 1;
//   constexpr int kDilation = 1;
struct DepthwiseAxis {
  int64_t in, out, kernel, stride, dilation, low;

  __device__ int64_t position(int64_t at, int64_t tap) const {
    return at * stride + tap * dilation - low;
  }
};
struct Depthwise {
  DepthwiseAxis axes[3];
  int64_t channels;
  int64_t total;    // pieces of work
  Divisor vectors;  // of channels
  Divisor strips;   // of kPlaces results of a row
  Divisor high;     // rows of the result
  Divisor deep;
};

extern "C" __global__ void __launch_bounds__(256)
    depthwise_conv(const __grid_constant__ Depthwise conv, const T* x, const T* w, T* y) {
  using V = Vector<T, kVector>;
  using W = Working<T>;
  const auto& [deep, high, wide] = conv.axes;
  const uint32_t index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= conv.total) return;
  uint32_t rest = conv.vectors.divide(index);
  const int64_t channel = int64_t(index - rest * conv.vectors.value) * kVector;
  uint32_t left = conv.strips.divide(rest);
  const int64_t first = int64_t(rest - left * conv.strips.value) * kPlaces;
  rest = left;
  left = conv.high.divide(rest);
  const int64_t row = rest - left * conv.high.value;
  const int64_t image = conv.deep.divide(left);
  const int64_t slice = left - image * conv.deep.value;

  W sums[kPlaces][kVector] = {};
  for (int64_t kz = 0; kz < deep.kernel; ++kz) {
    const int64_t z = deep.position(slice, kz);
    if (z < 0 || z >= deep.in) continue;
    for (int64_t ky = 0; ky < high.kernel; ++ky) {
      const int64_t line = high.position(row, ky);
      if (line < 0 || line >= high.in) continue;
      const T* from =
          x + ((image * deep.in + z) * high.in + line) * wide.in * conv.channels + channel;
      const T* taps = w + (kz * high.kernel + ky) * kTaps * conv.channels + channel;
      V weights[kTaps];
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        weights[k] = *reinterpret_cast<const V*>(taps + k * conv.channels);
      }
      const int64_t begin = first * kStride - wide.low;
      constexpr int kSeen = (kPlaces - 1) * kStride + (kTaps - 1) * kDilation + 1;
#pragma unroll
      for (int j = 0; j < kSeen; ++j) {
        const int64_t column = begin + j;
        if (column < 0 || column >= wide.in) continue;
        const V value = *reinterpret_cast<const V*>(from + column * conv.channels);
#pragma unroll
        for (int p = 0; p < kPlaces; ++p) {
          // Known when it is compiled.
          const int offset = j - p * kStride;
          if (offset < 0 || offset % kDilation != 0 || offset / kDilation >= kTaps) continue;
#pragma unroll
          for (int i = 0; i < kVector; ++i) {
            sums[p][i] += W(widen(value.at[i])) * W(widen(weights[offset / kDilation].at[i]));
          }
        }
      }
    }
  }
  T* to = y + (((image * deep.out + slice) * high.out + row) * wide.out + first) * conv.channels +
          channel;
#pragma unroll
  for (int p = 0; p < kPlaces; ++p) {
    if (first + p >= wide.out) break;
    V result;
#pragma unroll
    for (int i = 0; i < kVector; ++i) result.at[i] = narrow<T>(sums[p][i]);
    *reinterpret_cast<V*>(to + p * conv.channels) = result;
  }
}
