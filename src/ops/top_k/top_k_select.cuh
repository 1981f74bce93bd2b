// The first k elements of lines in order (behind reductions.cuh and top_order.cuh), by blocks that
// select: of a line, of a part of it, or among what was selected of its parts. Line l begins at
// l / inner · extent · inner + l % inner, its elements are `inner` apart. What stands before it:
//   constexpr int kMost = 256;  // a power of two, k at least
//
// Each thread looks for its own first element. The k-th of these bounds what can be taken: mostly
// that leaves few elements beside the k, which are sorted. Where it leaves more than kMost (there
// are many equals, or k is near the number of threads), the last element taken is found digit by
// digit from the counts of digits.
constexpr int kDigits = 256;
constexpr int kKeyPlaces = sizeof(Key);
constexpr int kPlaces = kKeyPlaces + 4;  // of key and index

// What a block works with; elements that are selected lie in `keys` and `places`.
struct Room {
  uint32_t counts[kDigits];
  Key keys[kMost];
  uint32_t places[kMost];  // in the line
  uint32_t found;
  uint32_t chosen, left, whole;
};

// Where a block's elements come from: each has a key and its place in the line.
struct LinePart {
  const T* line;
  int64_t inner;
  uint32_t begin;
  __device__ Key key(uint32_t e) const { return key_of(line[int64_t(begin + e) * inner]); }
  __device__ uint32_t place(uint32_t e) const { return begin + e; }
};
struct Selected {
  const Key* keys;
  const uint32_t* places;
  __device__ Key key(uint32_t e) const { return keys[e]; }
  __device__ uint32_t place(uint32_t e) const { return places[e]; }
};
// One of each thread.
struct Own {
  Key own;
  __device__ Key key(uint32_t) const { return own; }
  __device__ uint32_t place(uint32_t e) const { return e; }
};

// The last element taken, or one behind it.
struct Threshold {
  Key key;
  uint32_t place;
};

// Digit `at` of an element, 0 the highest of the key; those of its place follow.
__device__ inline uint32_t digit_of(Key key, uint32_t place, int at) {
  if (at < kKeyPlaces) return uint32_t(key >> (8 * (kKeyPlaces - 1 - at))) & 255;
  return place >> (8 * (kPlaces - 1 - at)) & 255;
}
// Whether an element agrees with the threshold in the digits before `at`.
__device__ inline bool agrees(Key key, uint32_t place, Threshold threshold, int at) {
  if (at == 0) return true;
  if (at < kKeyPlaces) return (key ^ threshold.key) >> (8 * (kKeyPlaces - at)) == 0;
  if (key != threshold.key) return false;
  return at == kKeyPlaces || (place ^ threshold.place) >> (8 * (kPlaces - at)) == 0;
}

// A warp: the digit at which the counts reach `wanted`. Each lane has 8 digits; the first lane
// whose digits reach it chooses among them.
__device__ inline void choose_digit(Room& room, uint32_t wanted) {
  uint32_t mine = 0;
  for (int d = 0; d < 8; ++d) mine += room.counts[threadIdx.x * 8 + d];
  uint32_t sum = mine;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const uint32_t other = __shfl_up_sync(0xffffffffu, sum, distance);
    if (threadIdx.x >= distance) sum += other;
  }
  uint32_t before = sum - mine;
  if (before >= wanted || wanted > sum) return;
  for (int d = 0; d < 8; ++d) {
    const uint32_t count = room.counts[threadIdx.x * 8 + d];
    if (before + count >= wanted) {
      room.chosen = threadIdx.x * 8 + d;
      room.left = wanted - before;
      room.whole = count == wanted - before;
      return;
    }
    before += count;
  }
}

// Counts a lane's digit; lanes that have the same one count it once.
__device__ inline void count_digit(Room& room, bool counts, uint32_t digit) {
  const uint32_t lanes = __ballot_sync(0xffffffffu, counts);
  if (!counts) return;
  const uint32_t peers = __match_any_sync(lanes, digit);
  if (__ffs(peers) - 1 == threadIdx.x % 32) atomicAdd(&room.counts[digit], uint32_t(__popc(peers)));
}

// The k-th of `count` elements in order, of which only those up to `bound` are looked at, as far as
// `places` digits say: those that follow become the largest.
template <class Source>
__device__ Threshold kth_of(Room& room, const Source& source, uint32_t count, uint32_t k, Key bound,
                            int places) {
  Threshold threshold = {0, 0};
  uint32_t wanted = k;  // elements that agree with the digits known
  bool known = false;
  int at = 0;
  for (; at < places && !known; ++at) {
    for (int d = threadIdx.x; d < kDigits; d += blockDim.x) room.counts[d] = 0;
    __syncthreads();
    for (uint32_t first = threadIdx.x / 32 * 32; first < count; first += blockDim.x) {
      const uint32_t e = first + threadIdx.x % 32;
      const bool inside = e < count;
      const Key key = inside ? source.key(e) : Key(0);
      const uint32_t place = inside ? source.place(e) : 0;
      count_digit(room, inside && key <= bound && agrees(key, place, threshold, at),
                  digit_of(key, place, at));
    }
    __syncthreads();
    if (threadIdx.x < 32) choose_digit(room, wanted);
    __syncthreads();
    wanted = room.left;
    known = room.whole != 0;  // all that agree so far are taken
    if (at < kKeyPlaces) {
      threshold.key |= Key(room.chosen) << (8 * (kKeyPlaces - 1 - at));
    } else {
      threshold.place |= room.chosen << (8 * (kPlaces - 1 - at));
    }
    __syncthreads();  // what was chosen has been read
  }
  if (at < kKeyPlaces) threshold.key |= ~Key(0) >> (8 * at);
  if (at < kPlaces) {
    threshold.place |= at <= kKeyPlaces ? ~uint32_t(0) : ~uint32_t(0) >> (8 * (at - kKeyPlaces));
  }
  return threshold;
}

// What no key of the first k elements is behind.
template <class Source>
__device__ Key bound_of(Room& room, const Source& source, uint32_t count, uint32_t k) {
  const uint32_t threads = count < blockDim.x ? count : blockDim.x;
  if (k > threads) return ~Key(0);
  Own own = {~Key(0)};
#pragma unroll 8
  for (uint32_t e = threadIdx.x; e < count; e += blockDim.x) {
    const Key key = source.key(e);
    own.own = key < own.own ? key : own.own;
  }
  return kth_of(room, own, threads, k, ~Key(0), kKeyPlaces).key;
}

// Gathers what is no later than the threshold, as far as there is room; where an element is put
// does not matter, as they are sorted and no two are equal.
template <class Source>
__device__ void gather(Room& room, const Source& source, uint32_t count, Threshold threshold) {
  __syncthreads();
  if (threadIdx.x == 0) room.found = 0;
  __syncthreads();
#pragma unroll 4
  for (uint32_t first = threadIdx.x / 32 * 32; first < count; first += blockDim.x) {
    const uint32_t e = first + threadIdx.x % 32;
    const Key key = e < count ? source.key(e) : Key(0);
    const bool taken =
        e < count && !comes_before(threshold.key, threshold.place, key, source.place(e));
    const uint32_t lanes = __ballot_sync(0xffffffffu, taken);
    if (lanes == 0) continue;
    uint32_t to = 0;
    if (threadIdx.x % 32 == 0) to = atomicAdd(&room.found, uint32_t(__popc(lanes)));
    to = __shfl_sync(0xffffffffu, to, 0) + __popc(lanes & ((1u << threadIdx.x % 32) - 1));
    if (!taken || to >= kMost) continue;
    room.keys[to] = key;
    room.places[to] = source.place(e);
  }
  __syncthreads();
}

// Brings what was found in order, by a bitonic network.
__device__ inline void sort(Room& room) {
  const int found = int(room.found);
  int most = 2;
  while (most < found) most *= 2;
  for (int i = found + threadIdx.x; i < most; i += blockDim.x) {
    room.keys[i] = ~Key(0);
    room.places[i] = ~uint32_t(0);
  }
  for (int size = 2; size <= most; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int pair = threadIdx.x; pair < most / 2; pair += blockDim.x) {
        const int a = (pair & ~(distance - 1)) * 2 + (pair & (distance - 1));
        const int b = a + distance;
        const bool ascending = (a & size) == 0;
        if (comes_before(room.keys[b], room.places[b], room.keys[a], room.places[a]) != ascending) {
          continue;
        }
        const Key key = room.keys[a];
        room.keys[a] = room.keys[b];
        room.keys[b] = key;
        const uint32_t place = room.places[a];
        room.places[a] = room.places[b];
        room.places[b] = place;
      }
    }
  }
  __syncthreads();
}

// The first k of `count` elements, all where there are no more, lie in order at the beginning of
// the room.
template <class Source>
__device__ void select(Room& room, const Source& source, uint32_t count, uint32_t k) {
  Threshold threshold = {~Key(0), ~uint32_t(0)};
  if (count > kMost) threshold.key = bound_of(room, source, count, k);
  const bool may_fit = count <= kMost || threshold.key != ~Key(0);
  if (may_fit) gather(room, source, count, threshold);
  if (!may_fit || room.found > kMost) {
    gather(room, source, count, kth_of(room, source, count, k, threshold.key, kPlaces));
  }
  sort(room);
}

// Writes the first k in the room as those of a line.
__device__ inline void write(const Room& room, const T* line, int64_t inner, int32_t k,
                             int64_t first, T* values, int64_t* indices) {
  for (int i = threadIdx.x; i < k; i += blockDim.x) {
    indices[first + i * inner] = room.places[i];
    values[first + i * inner] = line[int64_t(room.places[i]) * inner];
  }
}

extern "C" __global__ void __launch_bounds__(1024)
    top_k_select(const int64_t extent, const int64_t inner, const int32_t k, const T* x, T* values,
                 int64_t* indices) {
  __shared__ Room room;
  const int64_t outer = blockIdx.x / inner;
  const int64_t column = blockIdx.x - outer * inner;
  const T* line = x + outer * extent * inner + column;
  select(room, LinePart{line, inner, 0}, uint32_t(extent), k);
  write(room, line, inner, k, outer * k * inner + column, values, indices);
}

// A line is cut into `splits` parts of `part` elements, a block each, of each of which k elements
// become candidates.
extern "C" __global__ void __launch_bounds__(1024)
    top_k_parts(const int64_t extent, const int64_t inner, const int32_t k, const int64_t splits,
                const int64_t part, const T* x, Key* keys, uint32_t* places) {
  __shared__ Room room;
  const int64_t line = blockIdx.x / splits;
  const int64_t outer = line / inner;
  const int64_t begin = (blockIdx.x - line * splits) * part;
  const int64_t count = begin + part < extent ? part : extent - begin;
  const LinePart source{x + outer * extent * inner + line - outer * inner, inner, uint32_t(begin)};
  select(room, source, uint32_t(count), count < k ? uint32_t(count) : uint32_t(k));
  const int64_t first = blockIdx.x * int64_t(k);
  for (int i = threadIdx.x; i < k; i += blockDim.x) {
    // What is behind a part's elements comes behind all others.
    keys[first + i] = i < count ? room.keys[i] : ~Key(0);
    places[first + i] = i < count ? room.places[i] : ~uint32_t(0);
  }
}

// A block a line: the first k of its candidates.
extern "C" __global__ void __launch_bounds__(1024)
    top_k_join(const int64_t extent, const int64_t inner, const int32_t k, const int64_t splits,
               const Key* keys, const uint32_t* places, const T* x, T* values, int64_t* indices) {
  __shared__ Room room;
  const int64_t outer = blockIdx.x / inner;
  const int64_t column = blockIdx.x - outer * inner;
  const int64_t candidates = splits * k;
  const Selected source{keys + blockIdx.x * candidates, places + blockIdx.x * candidates};
  select(room, source, uint32_t(candidates), k);
  write(room, x + outer * extent * inner + column, inner, k, outer * k * inner + column, values,
        indices);
}
