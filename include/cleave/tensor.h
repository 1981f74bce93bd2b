// Tensor: a dense row-major tensor in host memory; TensorMap: tensors by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cleave/dtype.h"

namespace cleave {

// A value: copies are cheap because they share memory until one of them is written to. A tensor may
// instead view memory of the caller, which must then live as long as the tensor and its copies do.
//
// Threads: different objects may be used by different threads, one object by one thread at a time.
class Tensor {
 public:
  Tensor() = default;  // no elements: f32[0]
  // Zeros. Error(kInvalid) for a negative or too large shape.
  Tensor(DType dtype, std::vector<int64_t> shape);

  // Looks at the caller's memory of exactly the tensor's size in bytes (else Error(kInvalid)). The
  // first is copied when it is written to; writes through the second reach the caller's memory.
  static Tensor view(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> memory);
  static Tensor mutable_view(DType dtype, std::vector<int64_t> shape, std::span<std::byte> memory);
  // A copy of `values`, one an element.
  template <class T>
  static Tensor of(std::vector<int64_t> shape, std::span<const T> values) {
    return view(dtype_of<T>(), std::move(shape), std::as_bytes(values)).copy();
  }
  template <class T>
  static Tensor of(std::vector<int64_t> shape, const std::vector<T>& values) {
    return of(std::move(shape), std::span<const T>(values));
  }
  // Not zeroed. In the memory that `allocate` gives for so many bytes, which is aligned to 64,
  // where it gives any.
  using Allocate = std::function<std::shared_ptr<std::byte[]>(size_t bytes)>;
  static Tensor uninitialized(DType dtype, std::vector<int64_t> shape,
                              const Allocate& allocate = {});

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t elements() const;
  size_t bytes() const { return bytes_; }

  const std::byte* data() const { return data_; }
  std::byte* mutable_data();  // copies first where the memory is shared or not ours to write

  // Elements as C++ values: float for f32, double for f64, the integers of <cstdint>, bool; the
  // bits of f16 and bf16 as uint16_t. Error(kInvalid) for another element type.
  template <class T>
  std::span<const T> span() const {
    require_type(dtype_of<T>());
    return {reinterpret_cast<const T*>(data_), bytes_ / sizeof(T)};
  }
  template <class T>
  std::span<T> mutable_span() {
    require_type(dtype_of<T>());
    return {reinterpret_cast<T*>(mutable_data()), bytes_ / sizeof(T)};
  }

  // One that owns its memory alone.
  Tensor copy() const;
  // "f32[2, 3]"
  std::string type_text() const;

 private:
  template <class T>
  static constexpr DType dtype_of() {
    if constexpr (std::is_same_v<T, float>) return DType::kFloat32;
    if constexpr (std::is_same_v<T, double>) return DType::kFloat64;
    if constexpr (std::is_same_v<T, int8_t>) return DType::kInt8;
    if constexpr (std::is_same_v<T, int16_t>) return DType::kInt16;
    if constexpr (std::is_same_v<T, int32_t>) return DType::kInt32;
    if constexpr (std::is_same_v<T, int64_t>) return DType::kInt64;
    if constexpr (std::is_same_v<T, uint8_t>) return DType::kUInt8;
    if constexpr (std::is_same_v<T, uint16_t>) return DType::kUInt16;
    if constexpr (std::is_same_v<T, uint32_t>) return DType::kUInt32;
    if constexpr (std::is_same_v<T, uint64_t>) return DType::kUInt64;
    if constexpr (std::is_same_v<T, bool>) return DType::kBool;
  }
  void require_type(DType wanted) const;

  DType dtype_ = DType::kFloat32;
  std::vector<int64_t> shape_ = {0};
  size_t bytes_ = 0;
  std::byte* data_ = nullptr;
  std::shared_ptr<std::byte[]> memory_;  // null for views
  bool writable_ = true;                 // of a view
};

// Tensors by name, in the order in which they were added.
class TensorMap {
 public:
  using Entry = std::pair<std::string, Tensor>;

  TensorMap() = default;
  // Error(kInvalid) where a name comes twice.
  TensorMap(std::initializer_list<Entry> entries);

  // Adds a tensor, or replaces that of the name.
  void set(std::string_view name, Tensor tensor);
  // Null where there is none.
  const Tensor* find(std::string_view name) const;
  // Error(kInvalid) that lists the names there are where there is none.
  const Tensor& at(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  std::vector<Entry>::const_iterator begin() const { return entries_.begin(); }
  std::vector<Entry>::const_iterator end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace cleave
