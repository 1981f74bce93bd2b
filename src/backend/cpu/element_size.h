// Moving elements whatever their type: by their size alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::backend {

// Calls f<T>(), T the unsigned integer of `size` (1, 2, 4 or 8) bytes.
template <class F>
decltype(auto) dispatch_size(size_t size, F&& f) {
  switch (size) {
    case 1:
      return f.template operator()<uint8_t>();
    case 2:
      return f.template operator()<uint16_t>();
    case 4:
      return f.template operator()<uint32_t>();
    default:
      return f.template operator()<uint64_t>();
  }
}

// to[i * to_stride] = from[i * from_stride] for i < count; strides in elements of `size` bytes.
inline void copy_elements(const void* from, int64_t from_stride, void* to, int64_t to_stride,
                          int64_t count, size_t size) {
  dispatch_size(size, [&]<class T>() {
    const T* x = static_cast<const T*>(from);
    T* y = static_cast<T*>(to);
    for (int64_t i = 0; i < count; ++i) y[i * to_stride] = x[i * from_stride];
  });
}

}  // namespace cleave::backend
