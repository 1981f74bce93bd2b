// Pieces: how device code moves elements whose values it does not look at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <string>

#include "backend/kernel.h"

namespace cleave::backend {

inline constexpr int64_t kMostPieceBytes = 16;

// The type of 1, 2, 4, 8 or 16 bytes that are moved at once.
inline std::string piece_type(int64_t bytes) {
  switch (bytes) {
    case 1:
      return "uint8_t";
    case 2:
      return "uint16_t";
    case 4:
      return "uint32_t";
    case 8:
      return "uint64_t";
    default:
      return "Vector<uint64_t, 2>";
  }
}

// The largest piece that all these numbers of bytes are made of.
inline int64_t piece_bytes(std::initializer_list<int64_t> sizes) {
  int64_t bytes = kMostPieceBytes;
  for (const int64_t size : sizes) bytes = std::gcd(bytes, size);
  return bytes;
}

// How many elements of `type` make the largest piece that can be moved where all these begin.
inline int64_t piece_elements(DType type, std::initializer_list<const TensorView*> views) {
  int64_t bytes = kMostPieceBytes;
  for (const TensorView* view : views) bytes = std::gcd(bytes, view->alignment);
  return bytes / static_cast<int64_t>(size_of(type));
}

}  // namespace cleave::backend
