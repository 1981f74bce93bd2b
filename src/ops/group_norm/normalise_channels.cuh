// Groups of channels that lie innermost brought to mean 0 and variance 1, then scaled and shifted
// by channel (behind reductions.cuh). A block has some places of an image and a slice of channels,
// which is whole groups; what its threads hold they read once. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;         // channels that are read at once
//   constexpr int kThreads = 320;      // of a block
//   constexpr int kHeld = 4;           // vectors that a thread holds
//   constexpr int kMostChunks = 128;   // of an image
//   W finish(W);                       // what becomes of each result
//   constexpr bool kOneGroup = false;  // a slice is one group, of any number of channels
using W = Working<T>;

struct Channels {
  int64_t places;    // of an image
  int64_t channels;  // of a place
  int64_t slice;     // channels of a block
  int64_t group;     // channels of a group
  int64_t chunk;     // places of a block
  int32_t slices;
  int32_t chunks;
  int32_t rows;  // of a block's threads along places; those behind the last row have no place
  double epsilon;
};

// Of a chunk of a group: its mean, and the sum of the squares of the differences from that.
struct alignas(2 * sizeof(W)) Statistics {
  W mean;
  W squares;
};

// The part of a block. Elements are counted in 32 bits: there are fewer than 2^32.
struct Part {
  uint32_t first;  // the element at the block's first channel of this thread's first place
  uint32_t step;   // elements to the thread's next place
  int32_t places;  // of this thread
  int32_t first_channel;
  int32_t chunk;
  int64_t group;             // the first of the slice, of all images'
  int columns, row, column;  // threads along the slice's vectors; where this one is

  __device__ explicit Part(const Channels& work) {
    chunk = int32_t(blockIdx.x % work.chunks);
    const uint32_t rest = blockIdx.x / work.chunks;
    const uint32_t slice = rest % work.slices;
    const uint32_t image = rest / work.slices;
    first_channel = int32_t(slice * work.slice);
    group = (image * work.channels + first_channel) / work.group;
    const int vectors = int(work.slice / kVector);
    columns = vectors < kThreads ? vectors : kThreads;
    row = int(threadIdx.x) / columns;
    column = int(threadIdx.x) % columns;
    first =
        uint32_t((image * work.places + chunk * work.chunk + row) * work.channels) + first_channel;
    step = uint32_t(work.rows * work.channels);
    const int32_t left = places_of(work, chunk) - row;
    places = row < work.rows && left > 0 ? (left + work.rows - 1) / work.rows : 0;
  }
  __device__ static int32_t places_of(const Channels& work, int32_t chunk) {
    return int32_t(chunk + 1 < work.chunks ? work.chunk : work.places - chunk * work.chunk);
  }
};

// What a thread reads once: of its first column, the first places.
struct Held {
  Vector<T, kVector> at[kHeld];

  __device__ Held(const Part& part, const T* x) {
    uint32_t at_ = part.first + part.column * kVector;
#pragma unroll
    for (int h = 0; h < kHeld; ++h, at_ += part.step) {
      if (h < part.places) at[h] = *reinterpret_cast<const Vector<T, kVector>*>(x + at_);
    }
  }
};

// f(vector, its first element) for all places of a thread in the column of vectors that begins at
// channel `channel` of the slice: where they are held, the first ones from there.
template <bool kIsHeld, class F>
__device__ inline void each_place(const Part& part, const Held& held, const T* x, int channel,
                                  F&& f) {
  uint32_t at = part.first + channel;
  int place = 0;
  if constexpr (kIsHeld) {
#pragma unroll
    for (; place < kHeld; ++place, at += part.step) {
      if (place < part.places) f(held.at[place], at);
    }
  }
#pragma unroll 4
  for (; place < part.places; ++place, at += part.step) {
    f(*reinterpret_cast<const Vector<T, kVector>*>(x + at), at);
  }
}

// The same for all columns of a thread: of a slice that is one group there may be several.
template <class F>
__device__ inline void each_vector(const Channels& work, const Part& part, const Held& held,
                                   const T* x, F&& f) {
  each_place<true>(part, held, x, part.column * kVector, f);
  if constexpr (kOneGroup) {
    const int step = part.columns * kVector;
    for (int c = part.column * kVector + step; c < work.slice; c += step) {
      each_place<false>(part, held, x, c, f);
    }
  }
}

// The sums of `of(element, its group's place in the slice)` over the block's places, of each group
// of the slice: in `sums`, which the threads of the block share. `shared` has room for a vector of
// each thread.
template <class F>
__device__ void sum_groups(const Channels& work, const Part& part, const Held& held, const T* x,
                           W* shared, W* sums, F&& of) {
  if constexpr (kOneGroup) {
    W sum = 0;
    each_vector(work, part, held, x, [&](const Vector<T, kVector>& values, uint32_t) {
      W few = 0;
#pragma unroll
      for (int i = 0; i < kVector; ++i) few += of(W(widen(values.at[i])), 0);
      sum += few;
    });
    sum = reduce_in_block<kSum>(sum);
    if (threadIdx.x == 0) sums[0] = sum;
    __syncthreads();
  } else {
    const int slice = int(work.slice);
    const int group = int(work.group);
    Vector<W, kVector> own = {};
    int groups[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) groups[i] = (part.column * kVector + i) / group;
    each_vector(work, part, held, x, [&](const Vector<T, kVector>& values, uint32_t) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) own.at[i] += of(W(widen(values.at[i])), groups[i]);
    });
    if (part.row < work.rows) {
      *reinterpret_cast<Vector<W, kVector>*>(shared + part.row * slice + part.column * kVector) =
          own;
    }
    __syncthreads();
    // By channel over some of the rows, then by group over its channels.
    const int parts = slice * 2 > kThreads ? 1 : min(kThreads / slice, work.rows);
    for (int i = threadIdx.x; i < slice * parts; i += kThreads) {
      W sum = 0;
#pragma unroll 4
      for (int at = i; at < work.rows * slice; at += parts * slice) sum += shared[at];
      shared[i] = sum;
    }
    __syncthreads();
    for (int g = threadIdx.x / 32; g < slice / group; g += kThreads / 32) {
      W sum = 0;
      for (int i = threadIdx.x % 32; i < parts * group; i += 32) {
        const int p = i / group;
        sum += shared[p * slice + g * group + i - p * group];
      }
      sum = reduce_in_warp<kSum>(sum);
      if (threadIdx.x % 32 == 0) sums[g] = sum;
    }
    __syncthreads();
  }
}

extern __shared__ double shared_bytes[];

// Of each group of the slice over the block's places: the mean, and the sum of the squares of the
// differences from that; both lie in what the block shares.
struct Sums {
  W* means;
  W* squares;

  __device__ Sums(const Channels& work, const Part& part, const Held& held, const T* x) {
    const int groups = int(work.slice / work.group);
    W* shared = reinterpret_cast<W*>(shared_bytes);
    means = shared + (kOneGroup ? 0 : kThreads * kVector);
    squares = means + groups;
    sum_groups(work, part, held, x, shared, means, [](W value, int) { return value; });
    const W elements = W(int64_t(Part::places_of(work, part.chunk)) * work.group);
    for (int g = threadIdx.x; g < groups; g += kThreads) means[g] /= elements;
    __syncthreads();
    sum_groups(work, part, held, x, shared, squares, [&](W value, int group) {
      const W difference = value - means[group];
      return difference * difference;
    });
  }
};

extern "C" __global__ void __launch_bounds__(kThreads, kThreads > 320 ? 2 : 4)
    channel_statistics(const Channels work, const T* x, Statistics* statistics) {
  const Part part(work);
  const Held held(part, x);
  const Sums sums(work, part, held, x);
  for (int g = threadIdx.x; g < int(work.slice / work.group); g += kThreads) {
    statistics[(part.group + g) * work.chunks + part.chunk] = {sums.means[g], sums.squares[g]};
  }
}

// The mean of a group from that of its chunks, and one over its deviation; a warp's work.
struct Whole {
  W mean;
  W inverse;

  __device__ Whole(const Channels& work, const Statistics* of_chunks) {
    constexpr int kEach = kMostChunks / 32;
    Statistics chunks[kEach];
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const int c = i * 32 + lane;
      chunks[i] = c < work.chunks ? of_chunks[c] : Statistics{};
    }
    const W all = W(work.places * work.group);
    const W whole = W(work.chunk * work.group);
    const W last = W(Part::places_of(work, work.chunks - 1) * work.group);
    const auto elements = [&](int i) { return i * 32 + lane + 1 < work.chunks ? whole : last; };
    mean = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) mean += chunks[i].mean * elements(i);
    mean = reduce_in_warp<kSum>(mean) / all;
    W squares = 0;
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const W difference = chunks[i].mean - mean;
      const W between = i * 32 + lane < work.chunks ? difference * difference : W(0);
      squares += chunks[i].squares + between * elements(i);
    }
    inverse = W(1) / sqrt(reduce_in_warp<kSum>(squares) / all + W(work.epsilon));
  }
};

// What scales and shifts the channels of a column.
struct Parameters {
  Vector<T, kVector> scale;
  Vector<T, kVector> bias;

  __device__ Parameters(const Part& part, int channel, const T* scales, const T* biases)
      : scale(*reinterpret_cast<const Vector<T, kVector>*>(scales + part.first_channel + channel)),
        bias(*reinterpret_cast<const Vector<T, kVector>*>(biases + part.first_channel + channel)) {}
};

// finish(x · factor + shift), less the mean. In half precision the mean is part of the shift: what
// x was rounded by is far more than that is.
struct Scaling {
  static constexpr bool kIsShifted = sizeof(T) == 2;
  W mean[kIsShifted ? 1 : kVector];
  W factor[kVector];
  W shift[kVector];

  __device__ Scaling(const Channels& work, const Parameters& parameters, int channel,
                     const W* means, const W* inverses) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const int group = (channel + i) / int(work.group);
      factor[i] = inverses[group] * W(widen(parameters.scale.at[i]));
      shift[i] = W(widen(parameters.bias.at[i]));
      if constexpr (kIsShifted) {
        shift[i] -= means[group] * factor[i];
      } else {
        mean[i] = means[group];
      }
    }
  }
  __device__ W operator()(W value, int i) const {
    if constexpr (!kIsShifted) value -= mean[i];
    return finish(value * factor[i] + shift[i]);
  }
};

template <bool kIsHeld>
__device__ inline void normalise_column(const Part& part, const Held& held, const Scaling& scaling,
                                        const T* x, T* y, int channel) {
  each_place<kIsHeld>(part, held, x, channel, [&](Vector<T, kVector> values, uint32_t at) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) values.at[i] = narrow<T>(scaling(widen(values.at[i]), i));
    *reinterpret_cast<Vector<T, kVector>*>(y + at) = values;
  });
}

// All of the block's places; `parameters` are those of the thread's first column.
__device__ inline void normalise_block(const Channels& work, const Part& part, const Held& held,
                                       const Parameters& parameters, const W* means,
                                       const W* inverses, const T* x, const T* scale, const T* bias,
                                       T* y) {
  int channel = part.column * kVector;
  const Scaling scaling(work, parameters, channel, means, inverses);
  normalise_column<true>(part, held, scaling, x, y, channel);
  if constexpr (kOneGroup) {
    while ((channel += part.columns * kVector) < work.slice) {
      const Parameters others(part, channel, scale, bias);
      const Scaling next(work, others, channel, means, inverses);
      normalise_column<false>(part, held, next, x, y, channel);
    }
  }
}

extern "C" __global__ void __launch_bounds__(kThreads, kThreads > 320 ? 2 : 4)
    normalise_channels(const Channels work, const Statistics* statistics, const T* x,
                       const T* scale, const T* bias, T* y) {
  const Part part(work);
  const Held held(part, x);
  const Parameters parameters(part, part.column * kVector, scale, bias);
  const int groups = int(work.slice / work.group);
  W* means = reinterpret_cast<W*>(shared_bytes);
  W* inverses = means + groups;
  for (int g = threadIdx.x / 32; g < groups; g += kThreads / 32) {
    const Whole whole(work, statistics + (part.group + g) * work.chunks);
    if (threadIdx.x % 32 == 0) {
      means[g] = whole.mean;
      inverses[g] = whole.inverse;
    }
  }
  __syncthreads();
  normalise_block(work, part, held, parameters, means, inverses, x, scale, bias, y);
}

// Both where a slice is one chunk.
extern "C" __global__ void __launch_bounds__(kThreads)
    normalise_slices(const Channels work, const T* x, const T* scale, const T* bias, T* y) {
  const Part part(work);
  const Held held(part, x);
  const Parameters parameters(part, part.column * kVector, scale, bias);
  const Sums sums(work, part, held, x);
  const W elements = W(work.places * work.group);
  for (int g = threadIdx.x; g < int(work.slice / work.group); g += kThreads) {
    sums.squares[g] = W(1) / sqrt(sums.squares[g] / elements + W(work.epsilon));
  }
  __syncthreads();
  normalise_block(work, part, held, parameters, sums.means, sums.squares, x, scale, bias, y);
}
