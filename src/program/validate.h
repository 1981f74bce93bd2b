// Checks an engine before any of it is used.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "program/program.h"

namespace cleave::program {

inline constexpr int64_t kMaxRanks = 1024;

// Error(kInvalid), naming the place, unless everything in `data` is sound for a weight section of
// `weights_bytes` bytes: names are unique, operands exist, weights' slices have their shapes' sizes
// and lie inside, sizes use known symbols, and, with every dimension at its maximum, each operand
// lies inside what it is a view of. Operands are checked again for the sizes of each run, since
// expressions need not be largest at the maximum.
void validate(const EngineData& data, uint64_t weights_bytes);

// How far a view reaches, in elements from the start of what it is a view of: [begin, end); empty
// views reach nowhere. Error(kInvalid) on overflow and where it begins before 0.
struct Reach {
  int64_t begin = 0;
  int64_t end = 0;
};
Reach reach_of(std::span<const int64_t> shape, std::span<const int64_t> strides,
               int64_t element_offset);

// Whether the op moves data between ranks: all_reduce, all_gather, reduce_scatter, all_to_all.
bool is_collective(std::string_view op);

}  // namespace cleave::program
