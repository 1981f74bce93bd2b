// What a kernel or collective finds in the caches when it is not timed alone: trials act it out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cleave::backend {

// The sets of operands that take turns so that an activation is where an arena of so many bytes has
// it, in a shared cache rather than in the core's own. `bytes` are those of one set.
inline int64_t turns_for(int64_t bytes, int64_t arena_bytes) {
  constexpr int64_t kMostTurns = 64;
  return std::clamp<int64_t>(arena_bytes / std::max<int64_t>(bytes, 1), 1, kMostTurns);
}

// Fills the core's own cache with other things, as the kernels of a network do for each other.
class OtherWork {
 public:
  explicit OtherWork(size_t bytes = size_t{1} << 20) : bytes_(bytes) {}

  void run() {
    constexpr size_t kLineBytes = 64;
    for (size_t i = 0; i < bytes_.size(); i += kLineBytes) bytes_[i] ^= std::byte{1};
  }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace cleave::backend
