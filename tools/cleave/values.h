// Tensors' elements as numbers.
#pragma once

#include <cstdint>

#include "cleave/tensor.h"
#include "types/host_tensor.h"

namespace cleave::cli {

// Calls visit(index, value) with each element as a double.
template <class Visit>
void for_each_value(const Tensor& tensor, Visit&& visit) {
  dispatch_dtype(tensor.dtype(), [&]<class T>() {
    const T* values = reinterpret_cast<const T*>(tensor.data());
    const int64_t count = tensor.elements();
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
        visit(i, static_cast<double>(static_cast<float>(values[i])));
      } else {
        visit(i, static_cast<double>(values[i]));
      }
    }
  });
}

}  // namespace cleave::cli
