// Groups of channels that lie innermost brought to mean 0 and variance 1, then scaled and shifted
// by channel (behind reductions.cuh). A block has some places of an image and a slice of channels,
// which is whole groups. What stands before it:
//   using T = Half;
//   constexpr int kVector = 8;       // channels that are read at once
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
  double epsilon;
};

// Of a chunk of a group: its mean, and the sum of the squares of the differences from that.
struct Statistics {
  W mean;
  W squares;
};

// The part of a block.
struct Part {
  int64_t image, first_channel;
  int32_t slice, chunk;
  int64_t begin, end;  // places
  int columns, rows;   // threads along the slice's vectors, and along places
  int column, row;     // of this thread; those behind the last row have no place

  __device__ explicit Part(const Channels& work) {
    chunk = blockIdx.x % work.chunks;
    const int64_t rest = blockIdx.x / work.chunks;
    slice = int32_t(rest % work.slices);
    image = rest / work.slices;
    first_channel = slice * work.slice;
    begin = chunk * work.chunk;
    end = begin + work.chunk < work.places ? begin + work.chunk : work.places;
    const int64_t vectors = work.slice / kVector;
    columns = vectors < blockDim.x ? int(vectors) : int(blockDim.x);
    rows = blockDim.x / columns;
    column = threadIdx.x % columns;
    row = threadIdx.x / columns;
  }
  __device__ int64_t elements(const Channels& work, int32_t chunk_) const {
    const int64_t first = chunk_ * work.chunk;
    const int64_t last = first + work.chunk < work.places ? first + work.chunk : work.places;
    return (last - first) * work.group;
  }
};

// f(first channel of the slice, place) for each vector of a thread's places.
template <class F>
__device__ inline void each_place(const Channels& work, const Part& part, int64_t channel, F&& f) {
  if (part.row >= part.rows) return;
#pragma unroll 4
  for (int64_t place = part.begin + part.row; place < part.end; place += part.rows) {
    f((part.image * work.places + place) * work.channels + part.first_channel + channel);
  }
}

// The sums of `of(element, its group's place in the slice)` over the block's places, of each group
// of the slice: in `sums`, which the threads of the block share. `shared` has room for an element a
// thread and channel of its vector.
template <class F>
__device__ void sum_groups(const Channels& work, const Part& part, const T* x, W* shared, W* sums,
                           F&& of) {
  if constexpr (kOneGroup) {
    W sum = 0;
    for (int64_t v = part.column; v < work.slice / kVector; v += part.columns) {
      each_place(work, part, v * kVector, [&](int64_t at) {
        const auto values = *reinterpret_cast<const Vector<T, kVector>*>(x + at);
        W few = 0;
#pragma unroll
        for (int i = 0; i < kVector; ++i) few += of(W(widen(values.at[i])), 0);
        sum += few;
      });
    }
    sum = reduce_in_block<kSum>(sum);
    if (threadIdx.x == 0) sums[0] = sum;
    __syncthreads();
  } else {
    W own[kVector] = {};
    int32_t groups[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      groups[i] = int32_t(uint32_t(part.column * kVector + i) / uint32_t(work.group));
    }
    each_place(work, part, int64_t(part.column) * kVector, [&](int64_t at) {
      const auto values = *reinterpret_cast<const Vector<T, kVector>*>(x + at);
#pragma unroll
      for (int i = 0; i < kVector; ++i) own[i] += of(W(widen(values.at[i])), groups[i]);
    });
    // By channel over the rows of threads, then by group over its channels.
    __syncthreads();
    if (part.row < part.rows) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        shared[part.row * work.slice + part.column * kVector + i] = own[i];
      }
    }
    __syncthreads();
    for (int64_t c = threadIdx.x; c < work.slice; c += blockDim.x) {
      W sum = 0;
      for (int r = 0; r < part.rows; ++r) sum += shared[r * work.slice + c];
      shared[c] = sum;
    }
    __syncthreads();
    const int64_t count = work.slice / work.group;
    for (int64_t g = threadIdx.x / 32; g < count; g += blockDim.x / 32) {
      W sum = 0;
      for (int64_t c = threadIdx.x % 32; c < work.group; c += 32) sum += shared[g * work.group + c];
      sum = reduce_in_warp<kSum>(sum);
      if (threadIdx.x % 32 == 0) sums[g] = sum;
    }
    __syncthreads();
  }
}

extern __shared__ double shared_bytes[];

// Where those of a group's chunks lie.
__device__ inline int64_t statistics_at(const Channels& work, const Part& part, int64_t group) {
  const int64_t groups = work.channels / work.group;
  const int64_t of_slice = work.slice / work.group;
  return ((part.image * groups + part.slice * of_slice + group) * work.chunks);
}

extern "C" __global__ void __launch_bounds__(512)
    channel_statistics(const Channels work, const T* x, Statistics* statistics) {
  const Part part(work);
  const int64_t groups = work.slice / work.group;
  W* means = reinterpret_cast<W*>(shared_bytes);
  W* squares = means + groups;
  W* shared = squares + groups;
  sum_groups(work, part, x, shared, means, [](W value, int32_t) { return value; });
  const W elements = W(part.elements(work, part.chunk));
  for (int64_t g = threadIdx.x; g < groups; g += blockDim.x) means[g] /= elements;
  __syncthreads();
  sum_groups(work, part, x, shared, squares, [&](W value, int32_t group) {
    const W difference = value - means[group];
    return difference * difference;
  });
  for (int64_t g = threadIdx.x; g < groups; g += blockDim.x) {
    statistics[statistics_at(work, part, g) + part.chunk] = {means[g], squares[g]};
  }
}

extern "C" __global__ void __launch_bounds__(512)
    normalise_channels(const Channels work, const Statistics* statistics, const T* x,
                       const T* scale, const T* bias, T* y) {
  const Part part(work);
  const int64_t groups = work.slice / work.group;
  W* means = reinterpret_cast<W*>(shared_bytes);
  W* inverses = means + groups;
  const W all = W(work.places * work.group);
  for (int64_t g = threadIdx.x / 32; g < groups; g += blockDim.x / 32) {
    const Statistics* parts = statistics + statistics_at(work, part, g);
    W mean = 0;
    for (int32_t c = threadIdx.x % 32; c < work.chunks; c += 32) {
      mean += parts[c].mean * (W(part.elements(work, c)) / all);
    }
    mean = reduce_in_warp<kSum>(mean);
    W squares = 0;
    for (int32_t c = threadIdx.x % 32; c < work.chunks; c += 32) {
      const W difference = parts[c].mean - mean;
      squares += parts[c].squares + difference * difference * W(part.elements(work, c));
    }
    squares = reduce_in_warp<kSum>(squares);
    if (threadIdx.x % 32 == 0) {
      means[g] = mean;
      inverses[g] = W(1) / sqrt(squares / all + W(work.epsilon));
    }
  }
  __syncthreads();
  for (int64_t v = part.column; v < work.slice / kVector; v += part.columns) {
    W mean[kVector], factor[kVector], shift[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const int64_t channel = v * kVector + i;
      const uint32_t group = uint32_t(channel) / uint32_t(work.group);
      mean[i] = means[group];
      factor[i] = inverses[group] * W(widen(scale[part.first_channel + channel]));
      shift[i] = W(widen(bias[part.first_channel + channel]));
    }
    each_place(work, part, v * kVector, [&](int64_t at) {
      auto values = *reinterpret_cast<const Vector<T, kVector>*>(x + at);
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        values.at[i] = narrow<T>((W(widen(values.at[i])) - mean[i]) * factor[i] + shift[i]);
      }
      *reinterpret_cast<Vector<T, kVector>*>(y + at) = values;
    });
  }
}
