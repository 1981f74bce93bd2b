// Poolings (behind reductions.cuh): windows over planes of three dimensions, of which `inner` lie
// interleaved (channels that are innermost, else 1). What stands before it:
//   using T = float;
//   constexpr int kHow = 0;    // 0: max, 1: index of the first max, 2: average, 3: lp
//   constexpr int kLanes = 1;  // threads a window: 1 or 32
using W = Working<T>;

struct PoolAxis {
  int64_t in;
  int64_t kernel;
  int64_t stride;
  int64_t dilation;
  int64_t low;
  // Of average: the image with the padding that counts.
  int64_t counted_in;
  int64_t counted_low;
  int64_t index_stride;  // of the index of the max
  Divisor out;

  __device__ int64_t position(int64_t at, int64_t tap) const {
    return at * stride + tap * dilation - low;
  }
  // The taps of the window at `at` that lie in an image of `limit` elements with `before` elements
  // of padding: [begin, end).
  __device__ void taps(int64_t at, int64_t limit, int64_t before, int64_t& begin,
                       int64_t& end) const {
    const int64_t first = at * stride - before;
    begin = first >= 0 ? 0 : (-first + dilation - 1) / dilation;
    end = limit <= first ? 0 : (limit - first + dilation - 1) / dilation;
    if (end > kernel) end = kernel;
    if (begin > end) begin = end;
  }
};
struct PoolArgument {
  PoolAxis axes[3];
  Divisor inner;
  int64_t results;
  int64_t index_begin;
  double power;
};

struct Pooled {
  W value = kHow == 0 ? identity<kMax, W>() : W(0);
  int64_t index = -1;

  // Element `at` of a plane, of this index.
  __device__ void take(W x, int64_t at, double power) {
    if constexpr (kHow == 0) {
      value = combine<kMax>(value, x);
    } else if constexpr (kHow == 1) {
      take_record(x, at);
    } else if constexpr (kHow == 2) {
      value += x;
    } else {
      value += power == 1 ? op_abs(x) : power == 2 ? x * x : op_pow(op_abs(x), W(power));
    }
  }
  __device__ void join(W other, int64_t other_index) {
    if constexpr (kHow == 0) {
      value = combine<kMax>(value, other);
    } else if constexpr (kHow == 1) {
      if (other_index >= 0) take_record(other, other_index);
    } else {
      value += other;
    }
  }

 private:
  // NaN beats every number, and of equals the first in the order of memory counts.
  __device__ void take_record(W x, int64_t at) {
    bool better = index < 0;
    if (!better) {
      if (is_nan(x) || is_nan(value)) {
        better = is_nan(x) && (!is_nan(value) || at < index);
      } else {
        better = x > value || (x == value && at < index);
      }
    }
    if (!better) return;
    value = x;
    index = at;
  }
};

extern "C" __global__ void __launch_bounds__(256)
    pool(const __grid_constant__ PoolArgument argument, const T* x, void* y) {
  const uint32_t result = (blockIdx.x * blockDim.x + threadIdx.x) / kLanes;
  if (result >= argument.results) return;
  const auto& axes = argument.axes;
  int64_t at[3], begin[3], end[3];
  uint32_t rest = argument.inner.divide(result);
  const int64_t inner = argument.inner.value;
  const uint32_t first = result - rest * argument.inner.value;
  W count = 1;
#pragma unroll
  for (int d = 2; d >= 0; --d) {
    const uint32_t outer = axes[d].out.divide(rest);
    at[d] = rest - outer * axes[d].out.value;
    rest = outer;
    if constexpr (kHow == 2) {
      axes[d].taps(at[d], axes[d].counted_in, axes[d].counted_low, begin[d], end[d]);
      count *= W(end[d] - begin[d]);
    }
    axes[d].taps(at[d], axes[d].in, axes[d].low, begin[d], end[d]);
  }
  const T* plane = x + int64_t(rest) * axes[0].in * axes[1].in * axes[2].in * inner + first;
  Pooled pooled;
  const int lane = threadIdx.x % kLanes;
  if constexpr (kLanes > 1) {
    const int64_t width = end[2] - begin[2];
    const int64_t height = end[1] - begin[1];
    const int64_t taps = (end[0] - begin[0]) * height * width;
    for (int64_t tap = lane; tap < taps; tap += kLanes) {
      const int64_t row = tap / width;
      const int64_t c = axes[2].position(at[2], begin[2] + tap - row * width);
      const int64_t slice = row / height;
      const int64_t b = axes[1].position(at[1], begin[1] + row - slice * height);
      const int64_t a = axes[0].position(at[0], begin[0] + slice);
      const int64_t element = (a * axes[1].in + b) * axes[2].in + c;
      pooled.take(widen(plane[element * inner]), element, argument.power);
    }
  } else {
    for (int64_t i = begin[0]; i < end[0]; ++i) {
      const int64_t a = axes[0].position(at[0], i);
      for (int64_t j = begin[1]; j < end[1]; ++j) {
        const int64_t b = axes[1].position(at[1], j);
        const int64_t row = (a * axes[1].in + b) * axes[2].in;
        for (int64_t k = begin[2]; k < end[2]; ++k) {
          const int64_t element = row + axes[2].position(at[2], k);
          pooled.take(widen(plane[element * inner]), element, argument.power);
        }
      }
    }
  }
  if constexpr (kLanes > 1) {
#pragma unroll
    for (int mask = kLanes / 2; mask > 0; mask /= 2) {
      const W value = shuffle_xor(pooled.value, mask);
      const int64_t index = shuffle_xor(pooled.index, mask);
      pooled.join(value, index);
    }
    if (lane != 0) return;
  }
  if constexpr (kHow == 1) {
    // Where in this part of the plane, as an index in the whole of it.
    int64_t element = pooled.index;
    int64_t index = element < 0 ? 0 : argument.index_begin;
    for (int d = 2; d >= 0 && element >= 0; --d) {
      const int64_t outer = element / axes[d].in;
      index += (element - outer * axes[d].in) * axes[d].index_stride;
      element = outer;
    }
    static_cast<int64_t*>(y)[result] = index;
  } else {
    W value = pooled.value;
    if constexpr (kHow == 2) value /= count < W(1) ? W(1) : count;
    if constexpr (kHow == 3) {
      if (argument.power == 2) value = op_sqrt(value);
      if (argument.power > 2) value = op_pow(value, W(1 / argument.power));
    }
    static_cast<T*>(y)[result] = narrow<T>(value);
  }
}
