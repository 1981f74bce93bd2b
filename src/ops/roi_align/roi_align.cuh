// Means or largest elements of samples in the bins of regions (types/roi.h says the same for the
// host). Images are of T, corners of R, the images' indices of I; a thread makes a bin of a
// channel.
constexpr int64_t kMostSamples = 4096;

struct Align {
  double scale, offset;
  int64_t samples;  // a bin and dimension; 0: as many as a bin has elements
  IndexRange images;
  int64_t total;
  int64_t height, width;  // of an image
  Divisor rows, columns;  // bins
  Divisor channels;
};

struct RoiAxis {
  double begin, step;
  int64_t samples;

  __device__ RoiAxis(const Align& work, double low, double high, uint32_t bins)
      : begin(low * work.scale - work.offset) {
    double size = high * work.scale - work.offset - begin;
    // Without the offset, corners name elements, and a region has at least one.
    if (work.offset == 0 && size < 1.0) size = 1.0;
    step = size / double(bins);
    samples = work.samples;
    if (samples == 0 && step > 0) {
      const double wanted = ceil(step);
      samples = wanted < double(kMostSamples) ? int64_t(wanted) : kMostSamples;
    }
  }
  __device__ double position(uint32_t bin, int64_t sample) const {
    return begin + double(bin) * step + (double(sample) + 0.5) * step / double(samples);
  }
};

// The two elements that a sample lies between.
struct RoiSample {
  int64_t at[2];
  double weight[2];

  // False where the position is more than one element outside of the image, or no number.
  __device__ bool find(double position, int64_t extent) {
    const double size = double(extent);
    if (!(position >= -1 && position <= size)) return false;
    const double inside = position < 0 ? 0 : position > size - 1 ? size - 1 : position;
    at[0] = int64_t(inside);
    at[1] = at[0] + 1 < extent ? at[0] + 1 : extent - 1;
    weight[1] = inside - double(at[0]);
    weight[0] = 1 - weight[1];
    return true;
  }
};

__device__ inline double bin_of(const RoiAxis& down, const RoiAxis& across, uint32_t row,
                                uint32_t column, const T* plane, int64_t height, int64_t width) {
  double sum = 0;
  double largest = 0;
  bool is_first = true;
  for (int64_t i = 0; i < down.samples; ++i) {
    RoiSample y, x;
    const bool is_inside = y.find(down.position(row, i), height);
    for (int64_t j = 0; j < across.samples; ++j) {
      // A sample that is outside counts as 0.
      if (!is_inside || !x.find(across.position(column, j), width)) {
        if (is_first || largest < 0) largest = 0;
        is_first = false;
        if (!is_inside) break;
        continue;
      }
      for (int a = 0; a < 2; ++a) {
        for (int b = 0; b < 2; ++b) {
          const double value =
              double(widen(plane[y.at[a] * width + x.at[b]])) * y.weight[a] * x.weight[b];
          sum += value;
          if (is_first || largest < value) largest = value;
          is_first = false;
        }
      }
    }
  }
  if (kTakesLargest) return largest;
  const int64_t samples = down.samples * across.samples;
  return sum / double(samples > 1 ? samples : 1);
}

extern "C" __global__ void roi_align(const Align work, const T* data, const R* rois,
                                     const I* images, T* out) {
  const uint32_t stride = gridDim.x * blockDim.x;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < work.total; i += stride) {
    const uint32_t line = work.columns.divide(i);
    const uint32_t column = i - line * work.columns.value;
    const uint32_t plane = work.rows.divide(line);
    const uint32_t row = line - plane * work.rows.value;
    const uint32_t region = work.channels.divide(plane);
    const uint32_t channel = plane - region * work.channels.value;
    const int64_t image = work.images.position(int64_t(images[region]));
    double value = 0;
    if (image >= 0 && work.height > 0 && work.width > 0) {
      const R* corners = rois + int64_t(region) * 4;
      const RoiAxis across(work, double(widen(corners[0])), double(widen(corners[2])),
                           work.columns.value);
      const RoiAxis down(work, double(widen(corners[1])), double(widen(corners[3])),
                         work.rows.value);
      const T* from = data + (image * work.channels.value + channel) * work.height * work.width;
      value = bin_of(down, across, row, column, from, work.height, work.width);
    }
    out[i] = narrow<T>(Working<T>(value));
  }
}
