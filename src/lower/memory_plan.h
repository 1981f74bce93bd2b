// The memory plan: where in the arena each buffer lies, so that buffers that are alive at the same
// time do not overlap.
#pragma once

#include <cstdint>
#include <vector>

#include "program/program.h"

namespace cleave::lower {

struct Buffer {
  int64_t bytes = 0;
  size_t first = 0;  // instruction that writes it
  size_t last = 0;   // last instruction that touches it
  int64_t offset = 0;
};

// Sets the offsets (multiples of 64); returns the arena's size. Largest buffers first, each at the
// lowest offset that is free during its life.
int64_t plan_memory(std::vector<Buffer>& buffers);

// The most that `size` is on any rank within the symbols' bounds.
int64_t largest(const Dim& size, const std::vector<program::Symbol>& symbols, int64_t ranks);
// The most bytes that a tensor takes.
int64_t largest_bytes(const TensorType& type, const std::vector<program::Symbol>& symbols,
                      int64_t ranks);

}  // namespace cleave::lower
