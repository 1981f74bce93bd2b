#include "ops/pool/reference.h"

#include "types/arithmetic.h"

namespace cleave::ops {
namespace {

// Calls f(element of the plane, index in the plane) for the taps of a window that are inside.
template <class F>
void for_each_element(const PoolGeometry& pool, const ImageIndex& at, F&& f) {
  const auto& axes = pool.axes;
  for_each_index({axes[0].kernel, axes[1].kernel, axes[2].kernel}, [&](const ImageIndex& tap) {
    int64_t element = 0;
    int64_t index = pool.index_begin;
    for (size_t d = 0; d < axes.size(); ++d) {
      const int64_t position = axes[d].position(at[d], tap[d]);
      if (position < 0 || position >= axes[d].in) return;
      element = element * axes[d].in + position;
      index += position * pool.index_strides[d];
    }
    f(element, index);
  });
}

template <class T>
T largest(const PoolGeometry& pool, const T* plane, const ImageIndex& at) {
  auto result = identity<Wide<T>>(ReduceOp::kMax);
  for_each_element(pool, at, [&](int64_t element, int64_t) {
    result = combine<ReduceOp::kMax>(result, widened<Wide<T>>(plane[element]));
  });
  return narrowed<T>(result);
}

template <class T>
int64_t index_of_largest(const PoolGeometry& pool, const T* plane, const ImageIndex& at) {
  const auto is_nan = [](Wide<T> value) { return value != value; };
  std::optional<Wide<T>> record;
  int64_t best = 0;
  for_each_element(pool, at, [&](int64_t element, int64_t index) {
    const auto value = widened<Wide<T>>(plane[element]);
    if (record && !(value > *record) && !(is_nan(value) && !is_nan(*record))) return;
    record = value;
    best = index;
  });
  return best;
}

template <class T>
double average(const PoolGeometry& pool, const T* plane, const ImageIndex& at) {
  double sum = 0;
  for_each_element(pool, at,
                   [&](int64_t element, int64_t) { sum += widened<double>(plane[element]); });
  int64_t count = 1;
  for (size_t d = 0; d < at.size(); ++d) count *= pool.counts[d][static_cast<size_t>(at[d])];
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

template <class T>
double norm(const PoolGeometry& pool, const T* plane, const ImageIndex& at) {
  double sum = 0;
  for_each_element(pool, at, [&](int64_t element, int64_t) {
    sum += std::pow(std::abs(widened<double>(plane[element])), pool.power);
  });
  return std::pow(sum, 1 / pool.power);
}

}  // namespace

void reference_pool(Pooling how, const Attributes& attributes, const HostTensor& x, HostTensor& y) {
  const PoolGeometry pool(how, attributes, x.shape, y.shape);
  const auto& axes = pool.axes;
  dispatch_dtype(x.dtype, [&]<class T>() {
    int64_t next = 0;
    for (int64_t p = 0; p < pool.planes; ++p) {
      const T* plane = x.data<T>().data() + p * pool.image_elements();
      for_each_index({axes[0].out, axes[1].out, axes[2].out}, [&](const ImageIndex& at) {
        if (how == Pooling::kMaxIndex) {
          y.set_integer(next++, index_of_largest(pool, plane, at));
        } else if (how == Pooling::kMax) {
          y.data<T>()[static_cast<size_t>(next++)] = largest(pool, plane, at);
        } else {
          y.set(next++,
                how == Pooling::kAverage ? average(pool, plane, at) : norm(pool, plane, at));
        }
      });
    }
  });
}

}  // namespace cleave::ops
