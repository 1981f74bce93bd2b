// Rows brought to mean 0 and variance 1, then scaled and shifted (behind reductions.cuh and
// row_part.cuh). What stands before it:
//   using T = Half;
//   using S = float;                    // of the scale
//   using B = float;                    // of the bias
//   constexpr bool kCentred = true;     // else by the mean square, and the mean stays
//   constexpr bool kScale = true;       // there is one
//   constexpr bool kBias = true;
//   constexpr bool kByChannel = false;  // scale and bias have an element a channel, else one for
//                                       // each element of a row
//   constexpr bool kLong = false;       // rows that do not fit in registers
//   W finish(W);                        // what becomes of each result
//   constexpr int kVector = 8;          // elements that are read at once
//   constexpr int kPieces = 2;          // vectors that a thread holds
//   constexpr bool kWholeBlock = true;  // a block a row (or a part of a long one), else
//   constexpr int kLanes = 8;           // so many lanes of a warp
//   constexpr int kThreads = 128;       // of a block
using W = Working<T>;
constexpr int kLeastBlocks = kLong ? 5 : kRowBlocks;  // of a multiprocessor

struct Rows {
  int64_t rows;
  int64_t length;
  double epsilon;
  // By channel: row r has `channels` of them, from (r % groups) · channels on, of `inner` elements
  // each.
  int64_t groups;
  int64_t channels;
  Divisor inner;
};

// The elements of the scale or the bias for kVector elements of a row from `first` on, which are of
// one channel.
template <class P>
struct Parameters {
  Vector<P, kByChannel ? 1 : kVector> values;

  Parameters() = default;
  __device__ Parameters(const P* parameters, const Rows& rows, int64_t row, int64_t first) {
    if constexpr (kByChannel) {
      const int64_t channel = row % rows.groups * rows.channels + rows.inner.divide(first);
      values.at[0] = parameters[channel];
    } else {
      values = *reinterpret_cast<const Vector<P, kVector>*>(parameters + first);
    }
  }
  __device__ W at(int i) const { return W(widen(values.at[kByChannel ? 0 : i])); }
};

// Both, of those that there are.
struct ScaleAndBias {
  Parameters<S> by;
  Parameters<B> shift;

  ScaleAndBias() = default;
  __device__ ScaleAndBias(const S* scale, const B* bias, const Rows& rows, int64_t row,
                          int64_t first) {
    if constexpr (kScale) by = {scale, rows, row, first};
    if constexpr (kBias) shift = {bias, rows, row, first};
  }

  // values[i] = finish((values[i] - mean) · inverse · scale + bias)
  __device__ void normalise(W (&values)[kVector], W mean, W inverse) const {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      values[i] = (values[i] - mean) * inverse;
      if constexpr (kScale) values[i] *= by.at(i);
      if constexpr (kBias) values[i] += shift.at(i);
      values[i] = finish(values[i]);
    }
  }
};

__device__ inline void normalise_row(const Rows& rows, const T* x, const S* scale, const B* bias,
                                     T* y) {
  const RowThread at(rows.rows);
  RowPart<T, kVector, kPieces> part;
  part.load(x + at.row * rows.length, rows.length, at.thread, at.threads, W(0));
  // On their way while the row is added up, where that takes few registers.
  constexpr size_t kParameters = (kScale ? sizeof(S) : 0) + (kBias ? sizeof(B) : 0);
  constexpr bool kEarly = kParameters * (kByChannel ? 1 : kVector) * kPieces <= 32;
  const auto first_of = [&](int p) { return int64_t(p * at.threads + at.thread) * kVector; };
  ScaleAndBias parameters[kEarly ? kPieces : 1];
  if constexpr (kEarly) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      if (first_of(p) < rows.length) parameters[p] = {scale, bias, rows, at.row, first_of(p)};
    }
  }
  W mean = 0;
  if constexpr (kCentred) {
    W sum = 0;
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
#pragma unroll
      for (int i = 0; i < kVector; ++i) sum += part.at[p][i];
    }
    mean = reduce_together<kSum, kWholeBlock, kLanes>(sum) / W(rows.length);
  }
  W squares = 0;
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    const bool inside = first_of(p) < rows.length;
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const W difference = part.at[p][i] - mean;
      if (inside) squares += difference * difference;
    }
  }
  const W variance = reduce_together<kSum, kWholeBlock, kLanes>(squares) / W(rows.length);
  const W inverse = W(1) / sqrt(variance + W(rows.epsilon));
#pragma unroll
  for (int p = 0; p < kPieces; ++p) {
    if (first_of(p) >= rows.length) continue;
    if constexpr (!kEarly) parameters[0] = {scale, bias, rows, at.row, first_of(p)};
    parameters[kEarly ? p : 0].normalise(part.at[p], mean, inverse);
  }
  if (at.there) part.store(y + at.row * rows.length, rows.length, at.thread, at.threads);
}

// ---- Long rows are cut into `splits` parts of `part` vectors, of which a thread holds the first:
// it reads them once. Of each part: its mean, and the sum of the squares of the differences from
// that.
struct alignas(2 * sizeof(W)) Statistics {
  W mean;
  W squares;
};

struct RowCut {
  int64_t row;
  int64_t begin;
  int64_t end;
  Vector<T, kVector> held[kPieces];

  __device__ RowCut(const Rows& rows, int64_t splits, int64_t part, const T* x) {
    row = blockIdx.x / splits;
    begin = blockIdx.x % splits * part * kVector;
    end = begin + part * kVector < rows.length ? begin + part * kVector : rows.length;
#pragma unroll
    for (int h = 0; h < kPieces; ++h) {
      const int64_t e = first() + h * kThreads * kVector;
      if (e < end) {
        held[h] = *reinterpret_cast<const Vector<T, kVector>*>(x + row * rows.length + e);
      }
    }
  }
  __device__ int64_t first() const { return begin + threadIdx.x * kVector; }
  __device__ int64_t elements() const { return end - begin; }

  // f(vector, the row's element where it begins) for all of a thread; `from` is the row.
  template <class F>
  __device__ void each(const T* from, F&& f) const {
    int64_t e = first();
#pragma unroll
    for (int h = 0; h < kPieces; ++h, e += kThreads * kVector) {
      if (e < end) f(held[h], e);
    }
#pragma unroll 4
    for (; e < end; e += kThreads * kVector) {
      f(*reinterpret_cast<const Vector<T, kVector>*>(from + e), e);
    }
  }

  // The sum of its elements less `mean`, or of their squares.
  template <bool kSquares>
  __device__ W sum(const T* from, W mean) const {
    W sum = 0;
    each(from, [&](const Vector<T, kVector>& values, int64_t) {
      W few = 0;
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        const W difference = widen(values.at[i]) - mean;
        few += kSquares ? difference * difference : difference;
      }
      sum += few;
    });
    return reduce_in_block<kSum>(sum);
  }
};

__device__ inline void statistics_of_part(const Rows& rows, int64_t splits, int64_t part,
                                          const T* x, Statistics* statistics) {
  const RowCut cut(rows, splits, part, x);
  const T* row = x + cut.row * rows.length;
  W mean = 0;
  if constexpr (kCentred) mean = cut.sum<false>(row, W(0)) / W(cut.elements());
  const W squares = cut.sum<true>(row, mean);
  if (threadIdx.x == 0) statistics[blockIdx.x] = {mean, squares};
}

// Those of a row from its parts', one a lane: the mean, and the mean square of the differences.
__device__ inline Statistics of_row(const Rows& rows, int64_t splits, int64_t elements,
                                    const Statistics* parts) {
  const int lane = threadIdx.x % 32;
  const Statistics part = lane < splits ? parts[lane] : Statistics{};
  const int64_t last = rows.length - (splits - 1) * elements;
  const W share = lane < splits ? W(lane + 1 < splits ? elements : last) / W(rows.length) : W(0);
  const W mean = kCentred ? reduce_in_warp<kSum>(part.mean * share) : W(0);
  const W difference = part.mean - mean;
  const W square = part.squares / W(rows.length) + difference * difference * share;
  return {mean, reduce_in_warp<kSum>(square)};
}

__device__ inline void normalise_part(const Rows& rows, int64_t splits, int64_t part,
                                      const Statistics* statistics, const T* x, const S* scale,
                                      const B* bias, T* y) {
  const RowCut cut(rows, splits, part, x);
  const Statistics whole = of_row(rows, splits, part * kVector, statistics + cut.row * splits);
  const W inverse = W(1) / sqrt(whole.squares + W(rows.epsilon));
  const int64_t row = cut.row * rows.length;
  cut.each(x + row, [&](Vector<T, kVector> values, int64_t e) {
    W wide[kVector];
#pragma unroll
    for (int i = 0; i < kVector; ++i) wide[i] = widen(values.at[i]);
    const ScaleAndBias parameters(scale, bias, rows, cut.row, e);
    parameters.normalise(wide, whole.mean, inverse);
#pragma unroll
    for (int i = 0; i < kVector; ++i) values.at[i] = narrow<T>(wide[i]);
    *reinterpret_cast<Vector<T, kVector>*>(y + row + e) = values;
  });
}

extern "C" __global__ void __launch_bounds__(kThreads, kLeastBlocks)
    normalise_rows(const Rows rows, const int64_t splits, const int64_t part,
                   const Statistics* statistics, const T* x, const S* scale, const B* bias, T* y) {
  if constexpr (kLong) {
    normalise_part(rows, splits, part, statistics, x, scale, bias, y);
  } else {
    normalise_row(rows, x, scale, bias, y);
  }
}
extern "C" __global__ void __launch_bounds__(kThreads, kLeastBlocks)
    statistics(const Rows rows, const int64_t splits, const int64_t part, Statistics* statistics,
               const T* x) {
  if constexpr (kLong) statistics_of_part(rows, splits, part, x, statistics);
}
