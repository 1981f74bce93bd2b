// Moving elements whatever their type: by their size alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "types/element_size.h"

namespace cleave::backend {

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
