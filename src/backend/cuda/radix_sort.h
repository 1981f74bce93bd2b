// Stable sorts of numbers that carry others along (CUB's).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backend/device.h"

namespace cleave::backend {

// Keys and what they carry, and room for as many: a sort goes to and fro between the two.
template <class Key>
struct SortBuffers {
  Key* keys[2] = {};
  uint32_t* values[2] = {};
};

// Workspace of a sort of so many numbers on the current device. Error(kDevice).
template <class Key>
int64_t radix_sort_bytes(int64_t count);

// Puts on the stream: sorts `count` keys of buffer `from`, smallest first, by their bits
// [first_bit, last_bit); says in which buffer the result lies. `workspace` has radix_sort_bytes(),
// aligned to 64 bytes. The result is the same in every run. Key is uint32_t or uint64_t; count is
// below 2^31.
template <class Key>
int radix_sort(const SortBuffers<Key>& buffers, int from, int64_t count, int first_bit,
               int last_bit, std::span<std::byte> workspace, StreamHandle stream);

}  // namespace cleave::backend
