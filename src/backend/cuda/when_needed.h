// WhenNeeded: what kernels have for rare operands, which begin where vectors cannot be read, say.
// Making it mostly means compiling device code.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace cleave::backend {

// Made by the first call that needs it, never while a stream is recorded: what is recorded has been
// carried out before, on the same operands. May be used by several threads at once.
template <class T>
class WhenNeeded {
 public:
  explicit WhenNeeded(std::function<T()> make) : make_(std::move(make)) {}

  const T& get() const {
    std::call_once(once_, [&] { value_.emplace(make_()); });
    return *value_;
  }

 private:
  std::function<T()> make_;
  mutable std::once_flag once_;
  mutable std::optional<T> value_;
};

}  // namespace cleave::backend
