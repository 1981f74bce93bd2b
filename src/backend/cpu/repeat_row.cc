#include "backend/cpu/repeat_row.h"

#include <cstring>

#include "backend/cpu/element_size.h"

namespace cleave::backend {

void repeat_row(const void* from, int64_t stride, int64_t count, int64_t rows, int64_t size,
                std::byte* to) {
  if (stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(count * size));
  } else {
    dispatch_size(static_cast<size_t>(size), [&]<class T>() {
      const T* x = static_cast<const T*>(from);
      T* y = reinterpret_cast<T*>(to);
      for (int64_t i = 0; i < count; ++i) y[i] = x[i * stride];
    });
  }
  const int64_t row = count * size;
  for (int64_t r = 1; r < rows; ++r) std::memcpy(to + r * row, to, static_cast<size_t>(row));
}

}  // namespace cleave::backend
