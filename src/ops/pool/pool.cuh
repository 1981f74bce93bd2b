// Poolings (behind reductions.cuh): windows over planes of three dimensions, of which `inner` lie
// interleaved (channels that are innermost, else 1). What stands before it:
//   using T = float;
//   using I = int32_t;              // counts elements of a plane and taps of windows
//   constexpr int kHow = 0;         // 0: max, 1: index of the first max, 2: average, 3: lp
//   constexpr int kLanes = 1;       // threads a window: 1 or 32
//   constexpr int kVector = 1;      // planes a thread: more than 1 with one thread a window
//   constexpr bool kDilated = true; // some axis has a dilation
//   constexpr int kTaps0 = 1, kTaps1 = 3, kTaps2 = 3;  // of a window, where these are few; else 0
using W = Working<T>;

struct PoolAxis {
  I in;
  I kernel;
  I stride;
  I dilation;
  I low;
  // Of average: the image with the padding that counts.
  I counted_in;
  I counted_low;
  Divisor out;
  int64_t index_stride;  // of the index of the max

  __device__ I step() const { return kDilated ? dilation : I(1); }
  __device__ I position(I at, I tap) const { return at * stride + tap * step() - low; }
  // The taps of the window at `at` that lie in an image of `limit` elements with `before` elements
  // of padding: [begin, end).
  __device__ void taps(I at, I limit, I before, I& begin, I& end) const {
    const I first = at * stride - before;
    begin = first >= 0 ? 0 : (-first + step() - 1) / step();
    end = limit <= first ? 0 : (limit - first + step() - 1) / step();
    if (end > kernel) end = kernel;
    if (begin > end) begin = end;
  }
};
struct PoolArgument {
  PoolAxis axes[3];
  Divisor inner;  // in vectors
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

// What a pooling makes of what it took.
__device__ inline W finish(W value, W count, double power) {
  if constexpr (kHow == 2) return value / (count < W(1) ? W(1) : count);
  if constexpr (kHow == 3) {
    if (power == 2) return op_sqrt(value);
    if (power > 2) return op_pow(value, W(1 / power));
  }
  return value;
}

extern "C" __global__ void __launch_bounds__(256)
    pool(const __grid_constant__ PoolArgument argument, const T* x, void* y) {
  using V = Vector<T, kVector>;
  const uint32_t result = (blockIdx.x * blockDim.x + threadIdx.x) / kLanes;
  if (result >= argument.results) return;
  const auto& axes = argument.axes;
  I at[3], begin[3], end[3];
  uint32_t rest = argument.inner.divide(result);
  const uint32_t inner = argument.inner.value;
  const uint32_t first = result - rest * inner;
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
  const int64_t image = int64_t(axes[0].in) * axes[1].in * axes[2].in;
  const V* plane = reinterpret_cast<const V*>(x) + rest * image * inner + first;
  Pooled pooled[kVector];
  const auto take_all = [&](const V& values, I element) {
#pragma unroll
    for (int v = 0; v < kVector; ++v) {
      pooled[v].take(widen(values.at[v]), element, argument.power);
    }
  };
  const auto take = [&](I element) {
    const V values = plane[int64_t(element) * inner];  // in one load
    take_all(values, element);
  };
  const int lane = threadIdx.x % kLanes;
  if constexpr (kLanes > 1) {
    const I width = end[2] - begin[2];
    const I height = end[1] - begin[1];
    const I taps = (end[0] - begin[0]) * height * width;
    for (I tap = lane; tap < taps; tap += kLanes) {
      const I row = tap / width;
      const I c = axes[2].position(at[2], begin[2] + tap - row * width);
      const I slice = row / height;
      const I b = axes[1].position(at[1], begin[1] + row - slice * height);
      const I a = axes[0].position(at[0], begin[0] + slice);
      take((a * axes[1].in + b) * axes[2].in + c);
    }
  } else if constexpr (kTaps0 > 0) {
    const auto inside = [&](int d, I position) { return position >= 0 && position < axes[d].in; };
    // What changes nothing is taken where there is no element: nothing branches, and all elements
    // are asked for at once.
    V nothing;
#pragma unroll
    for (int v = 0; v < kVector; ++v) nothing.at[v] = narrow<T>(Pooled().value);
    const auto take_if = [&](bool is_there, I element) {
      if constexpr (kHow == 1) {
        if (is_there) take(element);
      } else {
        V values = nothing;
        if (is_there) values = plane[int64_t(element) * inner];
        take_all(values, element);
      }
    };
#pragma unroll
    for (int i = 0; i < kTaps0; ++i) {
      const I a = axes[0].position(at[0], i);
#pragma unroll
      for (int j = 0; j < kTaps1; ++j) {
        const I b = axes[1].position(at[1], j);
        const I row = (a * axes[1].in + b) * axes[2].in;
        const bool has_row = inside(0, a) && inside(1, b);
#pragma unroll
        for (int k = 0; k < kTaps2; ++k) {
          const I c = axes[2].position(at[2], k);
          take_if(has_row && inside(2, c), row + c);
        }
      }
    }
  } else {
    for (I i = begin[0]; i < end[0]; ++i) {
      const I a = axes[0].position(at[0], i);
      for (I j = begin[1]; j < end[1]; ++j) {
        const I b = axes[1].position(at[1], j);
        const I row = (a * axes[1].in + b) * axes[2].in;
        for (I k = begin[2]; k < end[2]; ++k) take(row + axes[2].position(at[2], k));
      }
    }
  }
  if constexpr (kLanes > 1) {
#pragma unroll
    for (int mask = kLanes / 2; mask > 0; mask /= 2) {
      const W value = shuffle_xor(pooled[0].value, mask);
      const int64_t index = shuffle_xor(pooled[0].index, mask);
      pooled[0].join(value, index);
    }
    if (lane != 0) return;
  }
  if constexpr (kHow == 1) {
    // Where in this part of the plane, as an index in the whole of it.
    int64_t element = pooled[0].index;
    int64_t index = element < 0 ? 0 : argument.index_begin;
    for (int d = 2; d >= 0 && element >= 0; --d) {
      const int64_t outer = element / axes[d].in;
      index += (element - outer * axes[d].in) * axes[d].index_stride;
      element = outer;
    }
    static_cast<int64_t*>(y)[result] = index;
  } else {
    V values;
#pragma unroll
    for (int v = 0; v < kVector; ++v) {
      values.at[v] = narrow<T>(finish(pooled[v].value, count, argument.power));
    }
    static_cast<V*>(y)[result] = values;
  }
}
