// HostTensor: a dense row-major tensor in host memory, owned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "types/dtype.h"

namespace cleave {

struct HostTensor {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  HostTensor() = default;
  // Zeros. Error(kInvalid) where the size overflows.
  HostTensor(DType type, std::vector<int64_t> extents);

  int64_t elements() const;
  template <class T>
  std::span<T> data() {
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  template <class T>
  std::span<const T> data() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  // Element access by value, converting; integers beyond 2^53 lose bits through the double ones.
  double get(int64_t index) const;
  void set(int64_t index, double value);
  int64_t get_integer(int64_t index) const;
  void set_integer(int64_t index, int64_t value);
  bool operator==(const HostTensor&) const = default;
};

// Calls f.template operator()<T>() with the C++ type of `type`.
template <class F>
decltype(auto) dispatch_dtype(DType type, F&& f) {
  switch (type) {
    case DType::kFloat32:
      return f.template operator()<float>();
    case DType::kFloat16:
      return f.template operator()<Half>();
    case DType::kBFloat16:
      return f.template operator()<BFloat16>();
    case DType::kFloat64:
      return f.template operator()<double>();
    case DType::kInt8:
      return f.template operator()<int8_t>();
    case DType::kInt16:
      return f.template operator()<int16_t>();
    case DType::kInt32:
      return f.template operator()<int32_t>();
    case DType::kInt64:
      return f.template operator()<int64_t>();
    case DType::kUInt8:
      return f.template operator()<uint8_t>();
    case DType::kUInt16:
      return f.template operator()<uint16_t>();
    case DType::kUInt32:
      return f.template operator()<uint32_t>();
    case DType::kUInt64:
      return f.template operator()<uint64_t>();
    case DType::kBool:
      return f.template operator()<bool>();
  }
  internal_error("no such element type", __FILE__, __LINE__);
}

// Converts element by element as ONNX's Cast does (float to integer truncates and saturates,
// anything non-zero is true).
HostTensor cast(const HostTensor& tensor, DType to);

}  // namespace cleave
