// Pooling on the CPU. A row of results is made in two steps: the rows of the image that its windows
// see are combined as they lie, then the taps along x, each over all windows in which it is inside
// of the image. So no inner loop checks bounds.
#include <cmath>

#include "backend/cpu/float_rows.h"
#include "backend/cpu/simple_kernel.h"
#include "base/thread_pool.h"
#include "types/arithmetic.h"
#include "types/pooling.h"

namespace cleave::backend {
namespace {

constexpr int64_t kChunkElements = 4 * 1024;  // results

// What rows of T are combined in.
template <class T>
using Lane = std::conditional_t<kIsHalf<T>, float, T>;

template <ReduceOp kOp, class A>
void combine_rows(const simd::Table& table, A* into, const A* from, int64_t count) {
  if constexpr (std::is_same_v<A, float>) {
    const auto op = kOp == ReduceOp::kMax ? simd::Binary::kMax : simd::Binary::kAdd;
    table.binary[static_cast<size_t>(op)](into, 1, from, 1, into, count);
  } else {
    for (int64_t i = 0; i < count; ++i) into[i] = combine<kOp>(into[i], from[i]);
  }
}

// Every `step`-th element of x, so that what windows see lies together.
template <class A>
void take_every(const A* x, int64_t step, A* y, int64_t count) {
  if (step == 2) {
    for (int64_t i = 0; i < count; ++i) y[i] = x[2 * i];
  } else {
    for (int64_t i = 0; i < count; ++i) y[i] = x[step * i];
  }
}

template <class A>
A power_of(A value, double power) {
  if (power == 1) return std::abs(value);
  if (power == 2) return value * value;
  return static_cast<A>(std::pow(std::abs(value), power));
}

template <class A>
A root_of(A value, double power) {
  if (power == 1) return value;
  if (power == 2) return std::sqrt(value);
  return static_cast<A>(std::pow(value, 1 / power));
}

// Where a row of results lies: its window's place in the outer dimensions, and its plane.
struct RowPlace {
  int64_t plane, depth, height;
  RowPlace(const PoolGeometry& pool, int64_t row)
      : plane(row / (pool.axes[0].out * pool.axes[1].out)),
        depth(row / pool.axes[1].out % pool.axes[0].out),
        height(row % pool.axes[1].out) {}
};

struct Pool {
  Pooling how;
  PoolGeometry geometry;
  // Of each dimension, by window, the taps inside of the image. Of the last one, the taps that are
  // inside for any window, and the windows of each of these.
  std::array<std::vector<Range>, kMaxImageDims> taps;
  Range used;
  std::vector<Range> windows;
  const simd::Table* table = &simd::best();
  // Elements of a place that lie one behind the other: the channels, where they are innermost.
  int64_t inner;

  Pool(Pooling pooling, PoolGeometry with, int64_t elements)
      : how(pooling), geometry(std::move(with)), inner(elements) {
    geometry.planes /= std::max<int64_t>(1, inner);
    for (size_t d = 0; d < taps.size(); ++d) {
      const WindowAxis& axis = geometry.axes[d];
      for (int64_t at = 0; at < axis.out; ++at) taps[d].push_back(axis.taps(at));
    }
    const WindowAxis& last = geometry.axes.back();
    used = {last.kernel, 0};
    for (const Range& inside : taps.back()) {
      if (inside.size() == 0) continue;
      used = {std::min(used.begin, inside.begin), std::max(used.end, inside.end)};
    }
    for (int64_t tap = used.begin; tap < used.end; ++tap) windows.push_back(last.windows(tap));
  }

  int64_t rows() const { return geometry.planes * geometry.axes[0].out * geometry.axes[1].out; }

  template <class T>
  void run(Range range, const T* x, void* y) const {
    if (how == Pooling::kMaxIndex) {
      run_index(range, x, static_cast<int64_t*>(y));
    } else if (how == Pooling::kMax) {
      run_rows<ReduceOp::kMax>(range, x, static_cast<T*>(y));
    } else if constexpr (kIsFloating<T>) {
      run_rows<ReduceOp::kSum>(range, x, static_cast<T*>(y));
    }
  }

 private:
  template <ReduceOp kOp, class T>
  void run_rows(Range range, const T* x, T* y) const {
    const WindowAxis& axis = geometry.axes[2];
    std::vector<Lane<T>> buffer(static_cast<size_t>(std::max(axis.in, axis.out) * inner));
    std::vector<Lane<T>> seen(static_cast<size_t>(axis.in * inner));
    std::vector<Lane<T>> result(static_cast<size_t>(axis.out * inner));
    for (int64_t row = range.begin; row < range.end; ++row) {
      const RowPlace place(geometry, row);
      combine_seen<kOp>(place, x, buffer.data(), seen);
      std::fill(result.begin(), result.end(), identity<Lane<T>>(kOp));
      for (int64_t tap = used.begin; tap < used.end; ++tap) {
        const Range inside = windows[static_cast<size_t>(tap - used.begin)];
        if (inside.size() == 0) continue;
        const Lane<T>* from = seen.data() + axis.position(inside.begin, tap) * inner;
        Lane<T>* into = result.data() + inside.begin * inner;
        if (axis.stride != 1 && inner != 1) {
          for (int64_t at = 0; at < inside.size(); ++at) {
            combine_rows<kOp>(*table, into + at * inner, from + at * axis.stride * inner, inner);
          }
          continue;
        }
        if (axis.stride != 1) {
          take_every(from, axis.stride, buffer.data(), inside.size());
          from = buffer.data();
        }
        combine_rows<kOp>(*table, into, from, inside.size() * inner);
      }
      finish(place, result);
      store(result, y + row * axis.out * inner);
    }
  }

  // The rows of the image that the windows of one row of results see, combined.
  template <ReduceOp kOp, class T>
  void combine_seen(const RowPlace& place, const T* x, Lane<T>* buffer,
                    std::vector<Lane<T>>& seen) const {
    const auto& [depth, height, width] = geometry.axes;
    std::fill(seen.begin(), seen.end(), identity<Lane<T>>(kOp));
    const Range depths = taps[0][static_cast<size_t>(place.depth)];
    const Range heights = taps[1][static_cast<size_t>(place.height)];
    for (int64_t i = depths.begin; i < depths.end; ++i) {
      const int64_t slice = place.plane * depth.in + depth.position(place.depth, i);
      for (int64_t j = heights.begin; j < heights.end; ++j) {
        const int64_t line = slice * height.in + height.position(place.height, j);
        const int64_t elements = width.in * inner;
        const Lane<T>* from = load(x + line * elements, elements, buffer);
        if constexpr (kIsFloating<T>) {
          if (how == Pooling::kLp) {
            for (int64_t k = 0; k < elements; ++k) buffer[k] = power_of(from[k], geometry.power);
            from = buffer;
          }
        }
        combine_rows<kOp>(*table, seen.data(), from, elements);
      }
    }
  }

  template <class A>
  void finish(const RowPlace& place, std::vector<A>& result) const {
    if constexpr (std::is_floating_point_v<A>) {
      if (how == Pooling::kAverage) {
        const auto& counts = geometry.counts;
        const int64_t outer = counts[0][static_cast<size_t>(place.depth)] *
                              counts[1][static_cast<size_t>(place.height)];
        A* to = result.data();
        for (const int64_t along : counts[2]) {
          const auto count = static_cast<A>(std::max<int64_t>(outer * along, 1));
          for (int64_t k = 0; k < inner; ++k) *to++ /= count;
        }
      } else if (how == Pooling::kLp) {
        for (A& value : result) value = root_of(value, geometry.power);
      }
    }
  }

  template <class T>
  const Lane<T>* load(const T* row, int64_t count, Lane<T>* buffer) const {
    if constexpr (kIsHalf<T>) {
      return as_floats(*table, kHalfType<T>, row, 0, count, buffer);
    } else {
      return row;
    }
  }

  template <class T>
  void store(const std::vector<Lane<T>>& result, T* row) const {
    if constexpr (kIsHalf<T>) {
      finish_floats(*table, kHalfType<T>, result.data(), row, 0,
                    static_cast<int64_t>(result.size()));
    } else {
      std::copy(result.begin(), result.end(), row);
    }
  }

  template <class T>
  static constexpr DType kHalfType = std::is_same_v<T, Half> ? DType::kFloat16 : DType::kBFloat16;

  template <class T>
  void run_index(Range range, const T* x, int64_t* y) const {
    const int64_t columns = geometry.axes[2].out;
    for (int64_t row = range.begin; row < range.end; ++row) {
      const RowPlace place(geometry, row);
      const T* plane = x + place.plane * geometry.image_elements();
      for (int64_t at = 0; at < columns; ++at) {
        y[row * columns + at] = index_of_largest(plane, place, at);
      }
    }
  }

  template <class T>
  int64_t index_of_largest(const T* plane, const RowPlace& place, int64_t at) const {
    const auto& [depth, height, width] = geometry.axes;
    const auto& strides = geometry.index_strides;
    const Range depths = taps[0][static_cast<size_t>(place.depth)];
    const Range heights = taps[1][static_cast<size_t>(place.height)];
    const Range widths = taps[2][static_cast<size_t>(at)];
    const auto is_nan = [](Lane<T> value) { return value != value; };
    int64_t best = -1;
    Lane<T> record{};
    for (int64_t i = depths.begin; i < depths.end; ++i) {
      const int64_t z = depth.position(place.depth, i);
      for (int64_t j = heights.begin; j < heights.end; ++j) {
        const int64_t y = height.position(place.height, j);
        const T* line = plane + (z * height.in + y) * width.in;
        for (int64_t k = widths.begin; k < widths.end; ++k) {
          const int64_t x = width.position(at, k);
          const auto value = widened<Lane<T>>(line[x]);
          if (best < 0 || value > record || (is_nan(value) && !is_nan(record))) {
            best = geometry.index_begin + z * strides[0] + y * strides[1] + x * strides[2];
            record = value;
          }
        }
      }
    }
    return std::max<int64_t>(best, 0);
  }
};

std::shared_ptr<const Kernel> make(const char* op, Pooling how) {
  const auto prepare = [how](const KernelProblem& problem) -> RunFunction {
    const TensorView& x = problem.inputs[0];
    const bool last = common_format(problem) == Format::kChannelsLast;
    const auto pool = std::make_shared<const Pool>(
        how, PoolGeometry(how, problem.attributes, x.shape, problem.outputs[0].shape),
        last ? x.shape[1] : 1);
    const int64_t work =
        std::max<int64_t>(1, problem.outputs[0].elements() / std::max<int64_t>(1, pool->rows()));
    return [pool, type = x.dtype, grain = std::max<int64_t>(1, kChunkElements / work)](
               std::span<const void* const> inputs, std::span<void* const> outputs,
               ThreadPool& threads) {
      const int64_t chunks = chunks_for(pool->rows(), grain, threads.threads() * 4);
      threads.parallel_for(chunks, [&](int64_t chunk) {
        const Range range = partition(pool->rows(), chunks, chunk);
        dispatch_dtype(type, [&]<class T>() {
          if constexpr (!std::is_same_v<T, bool>) {
            pool->run(range, static_cast<const T*>(inputs[0]), outputs[0]);
          }
        });
      });
    };
  };
  const auto refuses = [how](const KernelProblem& problem) -> std::optional<std::string> {
    if (auto reason = refuse_operands(problem, 1, 1)) return reason;
    const DType type = problem.inputs[0].dtype;
    const bool takes_numbers = how == Pooling::kMax || how == Pooling::kMaxIndex;
    if (takes_numbers ? type == DType::kBool : !is_floating(type)) {
      return takes_numbers ? "it takes numbers" : "it takes floating types";
    }
    if (problem.outputs[0].dtype != (how == Pooling::kMaxIndex ? DType::kInt64 : type)) {
      return "the result is of another type";
    }
    if (how == Pooling::kMaxIndex) return refuse_strides(problem);
    if (!common_format(problem)) return "operand and result are not dense in one format";
    return std::nullopt;
  };
  return std::make_shared<SimpleKernel>(op, std::string(op) + ".rows", refuses, prepare);
}

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_pool_cpu() {
  return {make("max_pool", Pooling::kMax), make("max_pool_index", Pooling::kMaxIndex),
          make("average_pool", Pooling::kAverage), make("lp_pool", Pooling::kLp)};
}

}  // namespace cleave::backend
