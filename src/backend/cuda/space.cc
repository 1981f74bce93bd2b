#include "backend/cuda/space.h"

#include <bit>

#include "base/check.h"

namespace cleave::backend {

// q = (hi32(n * magic) + n) >> shift, exact for n below 2^31 (Granlund and Montgomery's method).
Divisor make_divisor(int64_t value) {
  CLEAVE_CHECK(value >= 1 && value <= kMostIndex, "a divisor that device code does not take");
  const auto d = static_cast<uint64_t>(value);
  const auto shift = static_cast<uint32_t>(std::bit_width(d - 1));
  const uint64_t magic = ((uint64_t{1} << 32) * ((uint64_t{1} << shift) - d)) / d + 1;
  return {static_cast<uint32_t>(d), static_cast<uint32_t>(magic), shift};
}

SpaceArgument::SpaceArgument(const IndexSpace& space, size_t dims) {
  CLEAVE_CHECK(dims <= static_cast<size_t>(kMostDims) && dims <= space.extents.size(),
               "a space of too many dimensions");
  struct Head {
    int64_t elements;
    int32_t dims;
    Divisor extents[kMostDims];
  };
  Head head = {1, static_cast<int32_t>(dims), {}};
  for (size_t d = 0; d < dims; ++d) {
    head.elements *= space.extents[d];
    head.extents[d] = make_divisor(std::max<int64_t>(1, space.extents[d]));
  }
  const size_t row = kMostDims * sizeof(int64_t);
  bytes_.resize(sizeof head + space.strides.size() * row);
  std::memcpy(bytes_.data(), &head, sizeof head);
  for (size_t i = 0; i < space.strides.size(); ++i) {
    if (dims == 0) continue;
    std::memcpy(bytes_.data() + sizeof head + i * row, space.strides[i].data(),
                dims * sizeof(int64_t));
  }
}

std::optional<std::string> refuse_space(const IndexSpace& space) {
  if (space.extents.size() > static_cast<size_t>(kMostDims)) {
    return "its operands lie in more than " + std::to_string(kMostDims) + " different dimensions";
  }
  if (space.elements > kMostIndex) return "it has more than 2^31 elements";
  return std::nullopt;
}

}  // namespace cleave::backend
