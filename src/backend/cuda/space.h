// Spaces as device code reads them: device/prelude.cuh has the other side of each struct.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "backend/index_space.h"

namespace cleave::backend {

inline constexpr int kMostDims = 8;  // of a space whose dimensions were merged
inline constexpr int64_t kMostIndex = (int64_t{1} << 31) - 1;

struct Divisor {
  uint32_t value;
  uint32_t magic;
  uint32_t shift;
};
// By 1 to 2^31 - 1, of numbers up to that.
Divisor make_divisor(int64_t value);

// The bytes of a Space<operands> of device code.
class SpaceArgument {
 public:
  // The dimensions [0, dims) of `space`, which has at most kMostDims. No extent and no number of
  // their elements is over kMostIndex.
  SpaceArgument(const IndexSpace& space, size_t dims);
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

// Why device code cannot walk a space; nothing where it can.
std::optional<std::string> refuse_space(const IndexSpace& space);

}  // namespace cleave::backend
