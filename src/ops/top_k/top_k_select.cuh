// The first k elements of lines in order (behind reductions.cuh and top_order.cuh), by blocks that
// select: of a line, of a part of it, or among what was selected of its parts. Line l begins at
// l / inner · extent · inner + l % inner, its elements are `inner` apart. What stands before it:
//   constexpr int kMost = 256;  // a power of two, k at least
//   constexpr int kVector = 8;  // elements that are read at once, where they can be
//
// Each thread looks for the first of its elements, or of each of kOwn groups of them. The k-th of
// all these bounds what can be taken: mostly that leaves few elements beside the k, which are
// sorted. Where it leaves more than kMost (there are many equals, or k is near the number of
// groups), the last element taken is found digit by digit from the counts of digits.
constexpr int kDigits = 256;
constexpr int kOwn = kMost > 1024 ? kMost / 1024 : 1;
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

// Where a block's elements come from. each() calls f(inside, key, place) for all elements and, with
// `inside` false, so often more that the threads of a warp call it together. each_item() calls
// f(item, place, group) for all elements, items being those of Order; it stops a thread at the
// first call that returns false.
template <int kCount>
struct LinePart {
  using Order = typename Choose<IsFloating<W>::value, ByValue, ByKey>::Type;
  const T* line;
  int64_t inner;
  uint32_t begin;

  template <class F>
  __device__ void each(uint32_t count, F&& f) const {
    for (uint32_t first = threadIdx.x / 32 * 32; first < count; first += blockDim.x) {
      const uint32_t e = first + threadIdx.x % 32;
      const bool inside = e < count;
      f(inside, inside ? key_of(widen(line[int64_t(begin + e) * inner])) : Key(0), begin + e);
    }
  }
  template <class F>
  __device__ void each_item(uint32_t count, F&& f) const {
    constexpr int kBatch = kCount > 1 ? 2 : 4;  // vectors that are read before they are looked at
    const uint32_t step = blockDim.x * kCount;
    for (uint32_t e = threadIdx.x * kCount; e < count; e += step * kBatch) {
      Vector<T, kCount> vectors[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (e + b * step >= count) continue;
        const int64_t at = begin + e + b * step;
        if constexpr (kCount == 1) {
          vectors[b].at[0] = line[at * inner];
        } else {
          vectors[b] = *reinterpret_cast<const Vector<T, kCount>*>(line + at);
        }
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (e + b * step >= count) continue;
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
          const uint32_t place = begin + e + b * step + i;
          if (!f(Order::item(vectors[b].at[i]), place, (b * kCount + i) % kOwn)) return;
        }
      }
    }
  }
};

struct Selected {
  using Order = ByKey;
  const Key* keys;
  const uint32_t* places;

  template <class F>
  __device__ void each(uint32_t count, F&& f) const {
    for (uint32_t first = threadIdx.x / 32 * 32; first < count; first += blockDim.x) {
      const uint32_t e = first + threadIdx.x % 32;
      const bool inside = e < count;
      f(inside, inside ? keys[e] : Key(0), inside ? places[e] : 0);
    }
  }
  template <class F>
  __device__ void each_item(uint32_t count, F&& f) const {
    for (uint32_t e = threadIdx.x; e < count; e += blockDim.x * 4) {
      Key batch[4];
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        if (e + b * blockDim.x < count) batch[b] = keys[e + b * blockDim.x];
      }
#pragma unroll
      for (int b = 0; b < 4; ++b) {
        const uint32_t at = e + b * blockDim.x;
        if (at < count && !f(batch[b], places[at], b % kOwn)) return;
      }
    }
  }
};

// The first of each group of a thread.
struct Own {
  Key keys[kOwn];

  template <class F>
  __device__ void each(uint32_t, F&& f) const {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) f(true, keys[i], 0u);
  }
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
    source.each(count, [&](bool inside, Key key, uint32_t place) {
      count_digit(room, inside && key <= bound && agrees(key, place, threshold, at),
                  digit_of(key, place, at));
    });
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

// A key that none of the first k elements is behind: the largest where groups are too few to say.
template <class Source>
__device__ Key bound_of(Room& room, const Source& source, uint32_t count, uint32_t k) {
  using Order = typename Source::Order;
  using Item = typename Order::Item;
  const Key none = ~Key(0);
  if (k > kOwn * blockDim.x) return none;
  Item firsts[kOwn];
  bool is_there[kOwn] = {};
  // Any element of a group will do where there are NaN.
  source.each_item(count, [&](Item item, uint32_t, int group) {
    const bool is_first = !is_there[group] || Order::precedes(item, firsts[group]);
    firsts[group] = is_first ? item : firsts[group];
    is_there[group] = true;
    return true;
  });
  Own own;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) own.keys[i] = is_there[i] ? Order::key(firsts[i]) : none;
  // The first digits of floating numbers are exact enough.
  constexpr int kBoundPlaces = !IsFloating<W>::value ? kKeyPlaces : sizeof(W) == 8 ? 3 : 2;
  return kth_of(room, own, kOwn * blockDim.x, k, none, kBoundPlaces).key;
}

// Gathers what is no later than the threshold, as far as there is room; where an element is put
// does not matter, as they are sorted and no two are equal.
template <class Source>
__device__ void gather(Room& room, const Source& source, uint32_t count, Threshold threshold) {
  using Order = typename Source::Order;
  using Item = typename Order::Item;
  const Item last = Order::item_of_key(threshold.key);
  __syncthreads();
  if (threadIdx.x == 0) room.found = 0;
  __syncthreads();
  source.each_item(count, [&](Item item, uint32_t place, int) {
    if (Order::precedes(last, item)) return true;
    const Key key = Order::key(item);
    if (comes_before(threshold.key, threshold.place, key, place)) return true;
    const uint32_t to = atomicAdd(&room.found, 1u);
    if (to >= kMost) return false;
    room.keys[to] = key;
    room.places[to] = place;
    return true;
  });
  __syncthreads();
}

// Few elements, no more than threads, go to where as many come before them as do.
__device__ inline void sort_few(Room& room, uint32_t found) {
  const bool is_mine = threadIdx.x < found;
  const Key key = is_mine ? room.keys[threadIdx.x] : Key(0);
  const uint32_t place = is_mine ? room.places[threadIdx.x] : 0;
  uint32_t rank = 0;
  if (is_mine) {
#pragma unroll 8
    for (uint32_t i = 0; i < found; ++i) {
      rank += comes_before(room.keys[i], room.places[i], key, place);
    }
  }
  __syncthreads();
  if (is_mine) {
    room.keys[rank] = key;
    room.places[rank] = place;
  }
  __syncthreads();
}

// Brings what was found in order, more than a few by a bitonic network.
__device__ inline void sort(Room& room) {
  const int found = int(room.found);
  if (found <= 128 && found <= blockDim.x) return sort_few(room, found);
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

template <int kCount>
__device__ void select_line(Room& room, int64_t extent, int64_t inner, int32_t k, const T* x,
                            T* values, int64_t* indices) {
  const int64_t outer = blockIdx.x / inner;
  const int64_t column = blockIdx.x - outer * inner;
  const T* line = x + outer * extent * inner + column;
  select(room, LinePart<kCount>{line, inner, 0}, uint32_t(extent), k);
  write(room, line, inner, k, outer * k * inner + column, values, indices);
}

template <int kCount>
__device__ void select_part(Room& room, int64_t extent, int64_t inner, int32_t k, int64_t splits,
                            int64_t part, const T* x, Key* keys, uint32_t* places) {
  const int64_t line = blockIdx.x / splits;
  const int64_t outer = line / inner;
  const int64_t begin = (blockIdx.x - line * splits) * part;
  const int64_t count = begin + part < extent ? part : extent - begin;
  const LinePart<kCount> source{x + outer * extent * inner + line - outer * inner, inner,
                                uint32_t(begin)};
  select(room, source, uint32_t(count), count < k ? uint32_t(count) : uint32_t(k));
  const int64_t first = blockIdx.x * int64_t(k);
  for (int i = threadIdx.x; i < k; i += blockDim.x) {
    // What is behind a part's elements comes behind all others.
    keys[first + i] = i < count ? room.keys[i] : ~Key(0);
    places[first + i] = i < count ? room.places[i] : ~uint32_t(0);
  }
}

extern "C" __global__ void __launch_bounds__(1024)
    top_k_select(const int64_t extent, const int64_t inner, const int32_t k, const T* x, T* values,
                 int64_t* indices) {
  __shared__ Room room;
  select_line<1>(room, extent, inner, k, x, values, indices);
}
extern "C" __global__ void __launch_bounds__(1024)
    top_k_select_by_vectors(const int64_t extent, const int64_t inner, const int32_t k, const T* x,
                            T* values, int64_t* indices) {
  __shared__ Room room;
  select_line<kVector>(room, extent, inner, k, x, values, indices);
}

// A line is cut into `splits` parts of `part` elements, a block each, of each of which k elements
// become candidates.
extern "C" __global__ void __launch_bounds__(1024)
    top_k_parts(const int64_t extent, const int64_t inner, const int32_t k, const int64_t splits,
                const int64_t part, const T* x, Key* keys, uint32_t* places) {
  __shared__ Room room;
  select_part<1>(room, extent, inner, k, splits, part, x, keys, places);
}
extern "C" __global__ void __launch_bounds__(1024)
    top_k_parts_by_vectors(const int64_t extent, const int64_t inner, const int32_t k,
                           const int64_t splits, const int64_t part, const T* x, Key* keys,
                           uint32_t* places) {
  __shared__ Room room;
  select_part<kVector>(room, extent, inner, k, splits, part, x, keys, places);
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
