// Messages that lie in rows of a tensor (MessageRows in peer_view.h).
#pragma once

#include "comm/nccl/peer.cuh"

namespace cleave::nccl {

// Bytes or elements of a message whose rows have `run` of them: which row, and where in it. 32 bits
// divide much faster than 64.
struct RowPlace {
  uint32_t row;
  uint32_t column;

  __device__ RowPlace(uint32_t index, uint32_t run) : row(index / run), column(index - row * run) {}
  __device__ int64_t offset(int64_t stride) const { return row * stride + column; }
  __device__ void advance(uint32_t run) {
    if (++column < run) return;
    column = 0;
    ++row;
  }
};

__host__ __device__ inline bool is_stretch(const MessageRows& rows, int64_t bytes) {
  return rows.run >= bytes;
}

// Whether words of a message begin at multiples of 4 bytes wherever they do not cross rows.
__device__ inline bool aligned_to_words(const void* base, const MessageRows& rows, int64_t bytes) {
  return aligned_to_words(base) &&
         (is_stretch(rows, bytes) || (rows.run % 4 == 0 && rows.stride % 4 == 0));
}

// As load_payload and store_payload, of a message of `bytes` that may lie in rows.
template <class T = std::byte>
__device__ Payload load_payload(const std::byte* base, const MessageRows& rows, int64_t word,
                                int64_t bytes, bool aligned) {
  constexpr uint32_t kBytes = kPayloadBytes<T>;
  if (is_stretch(rows, bytes)) return load_payload<T>(base, word, bytes, aligned);
  const auto run = static_cast<uint32_t>(rows.run);
  const uint32_t begin = static_cast<uint32_t>(word) * kBytes;
  RowPlace place(begin, run);
  if (place.column + kBytes <= run) {
    return load_payload<T>(base + place.offset(rows.stride), 0, bytes - begin, aligned);
  }
  Payload payload = {};
#pragma unroll
  for (uint32_t i = 0; i < kBytes; ++i) {
    if (begin + i < bytes) {
      const auto byte = static_cast<uint8_t>(base[place.offset(rows.stride)]);
      payload.at[i / 4] |= uint32_t{byte} << (8 * (i % 4));
    }
    place.advance(run);
  }
  return payload;
}

template <class T = std::byte>
__device__ void store_payload(std::byte* base, const MessageRows& rows, int64_t word, int64_t bytes,
                              bool aligned, const Payload& payload) {
  constexpr uint32_t kBytes = kPayloadBytes<T>;
  if (is_stretch(rows, bytes)) return store_payload<T>(base, word, bytes, aligned, payload);
  const auto run = static_cast<uint32_t>(rows.run);
  const uint32_t begin = static_cast<uint32_t>(word) * kBytes;
  RowPlace place(begin, run);
  if (place.column + kBytes <= run) {
    return store_payload<T>(base + place.offset(rows.stride), 0, bytes - begin, aligned, payload);
  }
#pragma unroll
  for (uint32_t i = 0; i < kBytes; ++i) {
    if (begin + i < bytes) {
      base[place.offset(rows.stride)] = static_cast<std::byte>(payload.at[i / 4] >> (8 * (i % 4)));
    }
    place.advance(run);
  }
}

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
