// Copies of messages that may lie in rows of a tensor (MessageRows in peer_view.h).
#pragma once

#include "comm/nccl/peer_payload.cuh"

namespace cleave::nccl {

// A message as it lies at both ends.
struct MessageCopy {
  const std::byte* from;
  std::byte* to;
  int64_t bytes;
  int64_t run;
  int64_t from_stride;
  int64_t to_stride;

  __device__ bool is_stretch() const { return run >= bytes; }
  __device__ uintptr_t bits() const {
    uintptr_t bits = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to);
    if (!is_stretch()) bits |= static_cast<uintptr_t>(run | from_stride | to_stride);
    return bits;
  }
};

// Some blocks of a grid, one behind the other: which of them this one is.
struct Crew {
  unsigned block;
  unsigned blocks;
};

// What a thread copies at once, in units: so many loads are under way.
inline constexpr int kCopiedAtOnce = 4;

// Copies in units of a type, by all threads of a crew, `kThreads` a block; `from_of` and `to_of`
// say where a unit lies.
template <class Unit, int kThreads, class Index, class From, class To>
__device__ void copy_units(const Crew& crew, Index units, From&& from_of, To&& to_of) {
  constexpr int kUnroll = kCopiedAtOnce;
  const Index step = Index{crew.blocks} * kThreads;
  for (Index i = Index{crew.block} * kThreads + threadIdx.x; i < units; i += step * kUnroll) {
    Unit unit[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (i + u * step < units) unit[u] = load_uncached(from_of(i + u * step));
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (i + u * step < units) *to_of(i + u * step) = unit[u];
    }
  }
}

// Of a stretch: returns the bytes that it has copied, all but what is less than a unit.
template <class Unit, int kThreads>
__device__ int64_t copy_stretch(const Crew& crew, const std::byte* from, std::byte* to,
                                int64_t bytes) {
  constexpr auto kWidth = static_cast<int64_t>(sizeof(Unit));
  const auto* source = reinterpret_cast<const Unit*>(from);
  auto* result = reinterpret_cast<Unit*>(to);
  copy_units<Unit, kThreads>(
      crew, bytes / kWidth, [&](int64_t i) { return source + i; },
      [&](int64_t i) { return result + i; });
  return bytes / kWidth * kWidth;
}

template <class Unit, int kThreads>
__device__ void copy_rows(const Crew& crew, const MessageCopy& copy) {
  constexpr auto kWidth = static_cast<uint32_t>(sizeof(Unit));
  const uint32_t run = static_cast<uint32_t>(copy.run) / kWidth;
  const int64_t from_stride = copy.from_stride / kWidth;
  const int64_t to_stride = copy.to_stride / kWidth;
  const auto* source = reinterpret_cast<const Unit*>(copy.from);
  auto* result = reinterpret_cast<Unit*>(copy.to);
  copy_units<Unit, kThreads>(
      crew, static_cast<uint32_t>(copy.bytes) / kWidth,
      [&](uint32_t i) { return source + RowPlace(i, run).offset(from_stride); },
      [&](uint32_t i) { return result + RowPlace(i, run).offset(to_stride); });
}

template <int kThreads>
__device__ void copy_message(const Crew& crew, const MessageCopy& copy) {
  const uintptr_t bits = copy.bits();
  if (!copy.is_stretch()) {
    if (bits % 16 == 0) return copy_rows<uint4, kThreads>(crew, copy);
    if (bits % 4 == 0) return copy_rows<uint32_t, kThreads>(crew, copy);
    if (bits % 2 == 0) return copy_rows<uint16_t, kThreads>(crew, copy);
    return copy_rows<uint8_t, kThreads>(crew, copy);
  }
  int64_t copied = 0;
  if (bits % 16 == 0) {
    copied = copy_stretch<uint4, kThreads>(crew, copy.from, copy.to, copy.bytes);
  } else if (bits % 4 == 0) {
    copied = copy_stretch<uint32_t, kThreads>(crew, copy.from, copy.to, copy.bytes);
  } else if (bits % 2 == 0) {
    copied = copy_stretch<uint16_t, kThreads>(crew, copy.from, copy.to, copy.bytes);
  }
  copy_stretch<uint8_t, kThreads>(crew, copy.from + copied, copy.to + copied, copy.bytes - copied);
}

}  // namespace cleave::nccl
