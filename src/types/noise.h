// Noise: tensors that are a function of a seed and of where in them an element is, made wherever
// they are wanted: the same bits on every machine and device and for every slice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "types/dtype.h"

namespace cleave {

// Uniform in [-1, 1): splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
// generators", 2014) of the index, whose upper 53 bits are the result's. Nothing is rounded.
inline double noise_at(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-52 - 1.0;
}

// A box of a tensor that holds noise by strides: its element [i, j, ...] is
// noise_at(seed, first + i * strides[0] + j * strides[1] + ...) * scale.
struct NoiseBox {
  std::vector<int64_t> begin;  // in the tensor
  std::vector<int64_t> extent;
  uint64_t seed = 0;
  double scale = 1;
  uint64_t first = 0;
  std::vector<int64_t> strides;  // ≥ 0
  bool operator==(const NoiseBox&) const = default;
};

// A tensor of boxes that cover it and do not overlap. Each element is rounded to `types` in turn,
// floating types all; the last is the tensor's.
struct Noise {
  std::vector<DType> types;
  std::vector<NoiseBox> boxes;
  bool operator==(const Noise&) const = default;
};

// Fills `into` with the elements from `begin` on, in row-major order, of a tensor of this shape.
void make_noise(const Noise& noise, std::span<const int64_t> shape, int64_t begin,
                std::span<std::byte> into);

// `count` elements of noise that are `stride` apart, rounded to `types` in turn.
void make_noise_run(std::span<const DType> types, const NoiseBox& box, uint64_t first,
                    uint64_t stride, int64_t count, std::byte* into);

}  // namespace cleave
