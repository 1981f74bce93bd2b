// Elements of any type by their size alone, for what only moves them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave {

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

}  // namespace cleave
