// A convolution of T over three dimensions, computed as it is written: a thread makes kOutputs
// output channels of one group at a place (ops/conv/cuda.cc lays out the struct). Threads follow
// each other along places, or, where kChannelsLast, along channels.
struct ConvAxis {
  int64_t in, out, kernel, stride, dilation, low;

  // The taps [first, last) of the window `at` that lie inside of the image.
  __device__ void taps(int64_t at, int64_t& first, int64_t& last) const {
    const int64_t begin = at * stride - low;
    first = begin >= 0 ? 0 : (-begin + dilation - 1) / dilation;
    last = begin >= in ? 0 : (in - begin + dilation - 1) / dilation;
    if (last > kernel) last = kernel;
  }
};
struct Conv {
  ConvAxis axes[3];
  int64_t groups, channels, outputs;  // channels and outputs of a group
  int64_t total;                      // pieces of work
  int64_t x_channel, x_place;         // elements from one to the next
  int64_t y_channel, y_place;
  int64_t w_channel, w_tap;
  Divisor extents[3];  // of the result's places
  Divisor blocks;      // of output channels of all groups
};

extern "C" __global__ void plain_conv(const Conv conv, const T* x, const T* w, T* y) {
  using A = Working<T>;
  const auto& [deep, high, wide] = conv.axes;
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < conv.total; i += stride) {
    uint32_t rest = i;
    uint32_t block;
    if constexpr (kChannelsLast) {
      rest = conv.blocks.divide(i);
      block = i - rest * conv.blocks.value;
    }
    int64_t at[3];
    for (int d = 2; d >= 0; --d) {
      const uint32_t left = conv.extents[d].divide(rest);
      at[d] = rest - left * conv.extents[d].value;
      rest = left;
    }
    uint32_t image = rest;
    if constexpr (!kChannelsLast) {
      image = conv.blocks.divide(rest);
      block = rest - image * conv.blocks.value;
    }
    const int64_t output = int64_t(block) * kOutputs;
    const int64_t group = output / conv.outputs;
    int64_t begin[3], end[3];
    for (int d = 0; d < 3; ++d) conv.axes[d].taps(at[d], begin[d], end[d]);
    const int64_t terms = conv.channels * deep.kernel * high.kernel * wide.kernel;
    A sums[kOutputs] = {};
    const int64_t plane = deep.in * high.in * wide.in;
    const T* channel =
        x + image * conv.groups * conv.channels * plane + group * conv.channels * conv.x_channel;
    for (int64_t c = 0; c < conv.channels; ++c, channel += conv.x_channel) {
      for (int64_t kz = begin[0]; kz < end[0]; ++kz) {
        for (int64_t ky = begin[1]; ky < end[1]; ++ky) {
          const int64_t slice = at[0] * deep.stride + kz * deep.dilation - deep.low;
          const int64_t row = slice * high.in + at[1] * high.stride + ky * high.dilation - high.low;
          const int64_t first = row * wide.in + at[2] * wide.stride - wide.low;
          const T* taps = w + output * terms + c * conv.w_channel +
                          (kz * high.kernel + ky) * wide.kernel * conv.w_tap;
          // Several sums: fewer roundings in each.
          A parts[kOutputs] = {};
          for (int64_t kx = begin[2]; kx < end[2]; ++kx) {
            const A value = widen(channel[(first + kx * wide.dilation) * conv.x_place]);
#pragma unroll
            for (int o = 0; o < kOutputs; ++o) {
              parts[o] =
                  op_add(parts[o], op_mul(value, A(widen(taps[o * terms + kx * conv.w_tap]))));
            }
          }
#pragma unroll
          for (int o = 0; o < kOutputs; ++o) sums[o] = op_add(sums[o], parts[o]);
        }
      }
    }
    const int64_t places = deep.out * high.out * wide.out;
    const int64_t place = (at[0] * high.out + at[1]) * wide.out + at[2];
    T* result = y + image * conv.groups * conv.outputs * places + output * conv.y_channel +
                place * conv.y_place;
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) result[o * conv.y_channel] = narrow<T>(sums[o]);
  }
}
