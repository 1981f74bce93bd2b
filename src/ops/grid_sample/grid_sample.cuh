// What points of a grid of G see of images of T (types/grid_taps.h says the same for the host). A
// thread finds what a point sees once, for kChannels channels.
constexpr int kMostTaps = kMode == 2 ? 4 : kMode == 1 ? 2 : 1;  // cubic, linear, nearest
constexpr int kZeros = 0;                                       // paddings; 1: the border
constexpr int kReflection = 2;
constexpr double kFar = 1073741824.0;

struct Grid {
  int64_t images, channels, points, plane;
  int64_t extents[kRank];
  int64_t total;
  int32_t padding;
  int32_t aligns_corners;
  Divisor point_count;    // of one image
  Divisor channel_parts;  // of kChannels each
};

__device__ inline double clamp(double value, double low, double high) {
  return value < low ? low : value > high ? high : value;
}

struct Line {
  int32_t padding;
  int64_t extent;
  double low, high;  // between which reflection goes to and fro

  __device__ Line(const Grid& work, int64_t elements)
      : padding(work.padding),
        extent(elements),
        low(work.aligns_corners ? 0 : -0.5),
        high(double(elements) - (work.aligns_corners ? 1 : 0.5)) {}

  // As float32, as rounding to the nearest depends on it.
  __device__ double position(double coordinate) const {
    const double at = low + (coordinate + 1) / 2 * (high - low);
    return is_nan(at) ? -kFar : double(float(clamp(at, -kFar, kFar)));
  }
  // Long, and called from many places.
  __device__ __noinline__ double reflected(double at) const {
    const double length = high - low;
    if (length == 0) return low;
    const double way = fmod(fabs(at - low), 2 * length);
    return low + fmin(way, 2 * length - way);
  }
  __device__ double inside(double at) const {
    if (padding == kZeros || (at >= low && at <= high)) return at;
    if (padding == kReflection) return reflected(at);
    return clamp(at, 0.0, double(extent - 1));
  }
  // The element at a whole position; -1 where that counts as zero.
  __device__ int64_t element(double at) const {
    const double last = double(extent - 1);
    if (padding == kZeros && (at < 0 || at > last)) return -1;
    if (padding == kReflection) at = reflected(at);
    return int64_t(clamp(at, 0.0, last));
  }
};

// What an element weighs by its distance (types/interpolation.h).
__device__ inline double weight_at(double distance) {
  const double d = fabs(distance);
  if (kMode == 0) return 1;
  if (kMode == 1) return d < 1 ? 1 - d : 0;
  const double a = -0.75;
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

// The taps of a dimension: what counts as zero is left out.
struct Taps {
  int32_t count;
  int64_t elements[kMostTaps];
  double weights[kMostTaps];

  __device__ void find(const Line& line, double coordinate) {
    double at = line.position(coordinate);
    if (kMode == 0) at = rint(at);
    // A cubic is made over the border too: only its elements are brought inside.
    if (kMode != 2) at = line.inside(at);
    const double whole = floor(at);
    count = 0;
    for (int step = kMode == 2 ? -1 : 0; step <= kMode; ++step) {
      const int64_t element = line.element(whole + step);
      const double weight = weight_at(whole + step - at);
      if (element < 0 || weight == 0) continue;
      elements[count] = element;
      weights[count++] = weight;
    }
  }
};

extern "C" __global__ void grid_sample(const Grid work, const T* x, const G* grid, T* y) {
  using A = Working<T>;
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < work.total; i += stride) {
    const uint32_t row = work.point_count.divide(i);
    const int64_t point = i - row * work.point_count.value;
    const uint32_t image = work.channel_parts.divide(row);
    const int64_t channel = int64_t(row - image * work.channel_parts.value) * kChannels;
    const G* coordinates = grid + (image * work.points + point) * kRank;
    Taps taps[kRank];
    bool is_empty = false;
    for (int d = 0; d < kRank; ++d) {
      taps[d].find(Line(work, work.extents[d]), double(widen(coordinates[kRank - 1 - d])));
      is_empty = is_empty || taps[d].count == 0;
    }
    A sums[kChannels] = {};
    const int64_t first = image * work.channels + channel;
    const int count =
        work.channels - channel < kChannels ? int(work.channels - channel) : kChannels;
    int at[kRank] = {};
    while (!is_empty) {
      int64_t offset = 0;
      double weight = 1;
      for (int d = 0; d < kRank; ++d) {
        offset = offset * work.extents[d] + taps[d].elements[at[d]];
        weight *= taps[d].weights[at[d]];
      }
      for (int c = 0; c < count; ++c) {
        sums[c] += A(widen(x[(first + c) * work.plane + offset])) * A(weight);
      }
      int d = kRank - 1;
      while (d >= 0 && ++at[d] == taps[d].count) at[d--] = 0;
      if (d < 0) break;
    }
    for (int c = 0; c < count; ++c) {
      y[(first + c) * work.points + point] = narrow<T>(sums[c]);
    }
  }
}
