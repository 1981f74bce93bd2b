// Resizing on the CPU, row by row of the last resized dimension: the operand's rows that a row of
// the result is made from are added up as they lie, then the dimension itself is interpolated.
#include <algorithm>

#include "backend/cpu/element_size.h"
#include "backend/cpu/float_rows.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"
#include "types/resize_taps.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 8 * 1024;

// A dimension of the result; without taps it is the operand's own.
struct Line {
  int64_t extent = 1;
  int64_t stride = 1;  // of the operand
  std::optional<ResizeTaps> taps;
};

// A row of the operand with its weight in a row of the result.
struct WeightedRow {
  int64_t offset = 0;
  double weight = 1;
};

struct Resize {
  DType type;
  std::vector<Line> outer;            // before the last resized dimension
  ResizeTaps taps;                    // of the last one
  std::vector<float> weights;         // of `taps`
  std::vector<int64_t> extrapolated;  // elements of the last one that are
  bool doubles = false;               // whether each element of it is there twice
  int64_t in = 1;
  int64_t out = 1;
  int64_t inner = 1;
  int64_t rows = 1;
  HostTensor extrapolation;
  const simd::Table* table = &simd::best();

  // The rows that make row `row`; none where it is extrapolated. `spread` is space to work in.
  void find_rows(int64_t row, std::vector<WeightedRow>& found,
                 std::vector<WeightedRow>& spread) const {
    found.assign(1, {});
    for (size_t d = outer.size(); d-- > 0;) {
      const Line& line = outer[d];
      const auto at = static_cast<size_t>(row % line.extent);
      row /= line.extent;
      if (!line.taps) {
        for (WeightedRow& one : found) one.offset += static_cast<int64_t>(at) * line.stride;
        continue;
      }
      if (line.taps->outside[at]) {
        found.clear();
        return;
      }
      const auto count = static_cast<size_t>(line.taps->count);
      spread.clear();
      for (const WeightedRow& one : found) {
        for (size_t tap = at * count; tap < (at + 1) * count; ++tap) {
          const double weight = one.weight * line.taps->weight[tap];
          if (weight == 0) continue;
          spread.push_back({one.offset + line.taps->source[tap] * line.stride, weight});
        }
      }
      std::swap(found, spread);
    }
  }

  // f(row of the result, its rows of the operand) for a chunk.
  template <class F>
  void for_rows(Range range, F&& f) const {
    std::vector<WeightedRow> found, spread;
    for (int64_t row = range.begin; row < range.end; ++row) {
      find_rows(row, found, spread);
      f(row, found);
    }
  }

  template <class T>
  void copy_nearest(Range range, const T* x, T* y) const {
    const T outside = extrapolation.data<T>()[0];
    const int64_t length = out * inner;
    int64_t previous = -1;  // where the row before came from
    for_rows(range, [&](int64_t row, const std::vector<WeightedRow>& from) {
      T* to = y + row * length;
      const int64_t offset = from.empty() ? -1 : from[0].offset;
      if (offset < 0) {
        std::fill_n(to, length, outside);
      } else if (offset == previous) {
        std::copy_n(to - length, length, to);
      } else {
        copy_row(x + offset, to);
        fill_outside(outside, to);
      }
      previous = offset;
    });
  }

  void interpolate_floats(Range range, const void* x, void* y) const {
    const auto length = static_cast<size_t>(in * inner);
    std::vector<float> row_in(length), sum(length), row_out(static_cast<size_t>(out * inner));
    for_rows(range, [&](int64_t row, const std::vector<WeightedRow>& from) {
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (const WeightedRow& one : from) {
        const float* values = as_floats(*table, type, x, one.offset, in * inner, row_in.data());
        table->scale_add(values, static_cast<float>(one.weight), sum.data(), sum.data(),
                         in * inner);
      }
      float* to = float_target(type, y, row * out * inner, row_out.data());
      interpolate(from.empty(), sum.data(), weights.data(), to);
      finish_floats(*table, type, to, y, row * out * inner, out * inner);
    });
  }

  void interpolate_doubles(Range range, const double* x, double* y) const {
    std::vector<double> sum(static_cast<size_t>(in * inner));
    for_rows(range, [&](int64_t row, const std::vector<WeightedRow>& from) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (const WeightedRow& one : from) {
        for (int64_t i = 0; i < in * inner; ++i) {
          sum[static_cast<size_t>(i)] += x[one.offset + i] * one.weight;
        }
      }
      interpolate(from.empty(), sum.data(), taps.weight.data(), y + row * out * inner);
    });
  }

 private:
  template <class T>
  void copy_row(const T* x, T* y) const {
    const int64_t* source = taps.source.data();
    if (inner == 1 && doubles) {
      for (int64_t i = 0; i < in; ++i) y[2 * i] = y[2 * i + 1] = x[i];
    } else if (inner == 1) {
      for (int64_t at = 0; at < out; ++at) y[at] = x[source[at]];
    } else {
      for (int64_t at = 0; at < out; ++at, y += inner) {
        std::copy_n(x + source[at] * inner, inner, y);
      }
    }
  }

  template <class T>
  void fill_outside(T value, T* y) const {
    for (const int64_t at : extrapolated) std::fill_n(y + at * inner, inner, value);
  }

  template <class A>
  void interpolate(bool is_outside, const A* x, const A* weight, A* y) const {
    const auto outside = static_cast<A>(extrapolation.get(0));
    if (is_outside) {
      std::fill_n(y, out * inner, outside);
      return;
    }
    const int64_t* source = taps.source.data();
    if (inner != 1) {
      interpolate_blocks(x, weight, y);
    } else if (taps.count == 2) {
      for (int64_t at = 0; at < out; ++at) {
        y[at] = x[source[2 * at]] * weight[2 * at] + x[source[2 * at + 1]] * weight[2 * at + 1];
      }
    } else {
      for (int64_t at = 0; at < out; ++at, source += taps.count, weight += taps.count) {
        A sum = 0;
        for (int64_t tap = 0; tap < taps.count; ++tap) sum += x[source[tap]] * weight[tap];
        y[at] = sum;
      }
    }
    fill_outside(outside, y);
  }

  template <class A>
  void interpolate_blocks(const A* x, const A* weight, A* y) const {
    const int64_t* source = taps.source.data();
    for (int64_t at = 0; at < out; ++at, y += inner, source += taps.count, weight += taps.count) {
      std::fill_n(y, inner, A{0});
      for (int64_t tap = 0; tap < taps.count; ++tap) {
        const A* from = x + source[tap] * inner;
        for (int64_t i = 0; i < inner; ++i) y[i] += from[i] * weight[tap];
      }
    }
  }
};

Resize resize_of(const KernelProblem& problem) {
  // Dimensions in the order of memory, and which of them are resized.
  const std::vector<int64_t> axes = problem.attributes.integers("axes");
  std::vector<int64_t> from, to;
  std::vector<std::optional<size_t>> resized;
  size_t last = 0;
  for (const size_t d : memory_order(*common_format(problem), problem.inputs[0].rank())) {
    const auto found = std::find(axes.begin(), axes.end(), static_cast<int64_t>(d));
    if (found != axes.end()) last = from.size();
    from.push_back(problem.inputs[0].shape[d]);
    to.push_back(problem.outputs[0].shape[d]);
    resized.push_back(found == axes.end() ? std::nullopt
                                          : std::optional<size_t>(found - axes.begin()));
  }
  const DType type = problem.inputs[0].dtype;
  Resize work{.type = type,
              .in = from[last],
              .out = to[last],
              .inner = AxisView(from, last).inner,
              .extrapolation = HostTensor(type, {1})};
  work.extrapolation.set(0, problem.attributes.real("extrapolation", 0));
  for (size_t d = 0; d < last; ++d) {
    Line line{to[d], AxisView(from, d).inner, {}};
    if (resized[d]) line.taps = resize_taps(problem.attributes, *resized[d], from[d], to[d]);
    work.rows *= to[d];
    work.outer.push_back(std::move(line));
  }
  work.taps = resize_taps(problem.attributes, *resized[last], work.in, work.out);
  work.weights.assign(work.taps.weight.begin(), work.taps.weight.end());
  work.doubles = work.out == 2 * work.in;
  for (int64_t at = 0; at < work.out; ++at) {
    const auto i = static_cast<size_t>(at);
    if (work.taps.outside[i]) work.extrapolated.push_back(at);
    work.doubles = work.doubles && work.taps.count == 1 && work.taps.source[i] == at / 2;
  }
  return work;
}

RunFunction prepare(const KernelProblem& problem) {
  if (problem.outputs[0].elements() == 0) return [](auto, auto, ThreadPool&) {};
  const bool is_nearest = problem.attributes.string("mode", "nearest") == "nearest";
  const auto work = std::make_shared<const Resize>(resize_of(problem));
  return [work, is_nearest](std::span<const void* const> inputs, std::span<void* const> outputs,
                            ThreadPool& pool) {
    const int64_t grain = std::max<int64_t>(1, kChunkElements / (work->out * work->inner));
    const int64_t chunks = chunks_for(work->rows, grain, pool.threads() * 4);
    pool.parallel_for(chunks, [&](int64_t chunk) {
      const Range range = partition(work->rows, chunks, chunk);
      if (is_nearest) {
        dispatch_size(size_of(work->type), [&]<class T>() {
          work->copy_nearest(range, static_cast<const T*>(inputs[0]), static_cast<T*>(outputs[0]));
        });
      } else if (work->type == DType::kFloat64) {
        work->interpolate_doubles(range, static_cast<const double*>(inputs[0]),
                                  static_cast<double*>(outputs[0]));
      } else {
        work->interpolate_floats(range, inputs[0], outputs[0]);
      }
    });
  };
}

std::optional<std::string> refuses(const KernelProblem& problem) {
  if (auto reason = refuse_operands(problem, 1, 1)) return reason;
  const TensorView& x = problem.inputs[0];
  const TensorView& y = problem.outputs[0];
  if (y.dtype != x.dtype) return "the result is of another type";
  const bool is_nearest = problem.attributes.string("mode", "nearest") == "nearest";
  if (!is_nearest && !is_floating(x.dtype)) return "it interpolates floating types";
  if (problem.attributes.integers("axes").empty()) return "there is no axis to resize";
  if (x.elements() == 0 && y.elements() != 0) return "there are no elements to resize";
  if (!common_format(problem)) return "operand and result are not dense in one format";
  return std::nullopt;
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_resize_cpu() {
  return {std::make_shared<SimpleKernel>("resize", "resize.rows", refuses, prepare)};
}

}  // namespace cleave::backend
