#include "types/host_tensor.h"

#include <cmath>
#include <limits>
#include <utility>

#include "types/arithmetic.h"
#include "types/dim.h"

namespace cleave {
namespace {

template <class T>
T from_double(double value) {
  if constexpr (kIsHalf<T>) {
    return T(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_integral_v<T>) {
    if (std::isnan(value)) return 0;
    const double low = static_cast<double>(std::numeric_limits<T>::min());
    const double high = static_cast<double>(std::numeric_limits<T>::max());
    if (value <= low) return std::numeric_limits<T>::min();
    if (value >= high) return std::numeric_limits<T>::max();
    return static_cast<T>(value);
  } else {
    return static_cast<T>(value);
  }
}

}  // namespace

HostTensor::HostTensor(DType type, std::vector<int64_t> extents)
    : dtype(type), shape(std::move(extents)) {
  int64_t size = static_cast<int64_t>(size_of(type));
  for (int64_t extent : shape) {
    CLEAVE_CHECK(extent >= 0, "negative extent");
    size = checked_mul(size, extent);
  }
  bytes.resize(static_cast<size_t>(size));
}

int64_t HostTensor::elements() const { return static_cast<int64_t>(bytes.size() / size_of(dtype)); }

double HostTensor::get(int64_t index) const {
  return dispatch_dtype(dtype, [&]<class T>() { return widened<double>(data<T>()[index]); });
}

void HostTensor::set(int64_t index, double value) {
  dispatch_dtype(dtype, [&]<class T>() { data<T>()[index] = from_double<T>(value); });
}

int64_t HostTensor::get_integer(int64_t index) const {
  return dispatch_dtype(dtype, [&]<class T>() -> int64_t {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<int64_t>(data<T>()[index]);
    } else {
      return from_double<int64_t>(widened<double>(data<T>()[index]));
    }
  });
}

void HostTensor::set_integer(int64_t index, int64_t value) {
  dispatch_dtype(dtype, [&]<class T>() {
    if constexpr (std::is_same_v<T, bool>) {
      data<T>()[index] = value != 0;
    } else if constexpr (std::is_integral_v<T>) {
      data<T>()[index] = static_cast<T>(value);
    } else {
      data<T>()[index] = from_double<T>(static_cast<double>(value));
    }
  });
}

HostTensor cast(const HostTensor& tensor, DType to) {
  if (tensor.dtype == to) return tensor;
  HostTensor result(to, tensor.shape);
  dispatch_dtype(tensor.dtype, [&]<class From>() {
    dispatch_dtype(to, [&]<class To>() {
      const std::span<const From> from = tensor.data<From>();
      const std::span<To> into = result.data<To>();
      for (size_t i = 0; i < into.size(); ++i) {
        if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
          into[i] = std::is_same_v<To, bool> ? from[i] != 0 : static_cast<To>(from[i]);
        } else {
          into[i] = from_double<To>(widened<double>(from[i]));
        }
      }
    });
  });
  return result;
}

}  // namespace cleave
