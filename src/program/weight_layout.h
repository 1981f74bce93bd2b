// Where the weights' slices lie in the engine's weight section.
#pragma once

#include <cstdint>
#include <vector>

#include "program/program.h"

namespace cleave::program {

// Slices begin at multiples of this; what one rank holds alone begins at multiples of the page.
inline constexpr uint64_t kSliceAlignment = 64;
inline constexpr uint64_t kShareAlignment = 4096;

// Sets `slices` of all weights from their shapes; noise has bytes on devices and none here.
// `content[weight][rank]` names what the slice holds: slices with equal names and sizes hold the
// same bytes and are stored once. What several ranks hold comes first, then the share of each rank,
// contiguous, in the order of the weights.
void lay_out_weights(EngineData& data, const std::vector<std::vector<uint64_t>>& content);

// The end of the last slice.
uint64_t weights_end(const EngineData& data);

// One stored slice, and a weight and rank that hold it.
struct StoredSlice {
  WeightSlice slice;
  size_t weight = 0;
  int64_t rank = 0;
};
// All distinct slices that are not empty, by offset.
std::vector<StoredSlice> stored_slices(const EngineData& data);

// The bytes of weights that each rank holds.
std::vector<int64_t> weight_bytes_by_rank(const EngineData& data);

// The most bytes of weights that one instruction reads on each rank.
std::vector<int64_t> instruction_weight_bytes_by_rank(const EngineData& data);

// The bytes of rank `rank`'s shape. Error(kInvalid) on overflow or negative extents.
uint64_t slice_bytes(const Weight& weight, size_t rank);

}  // namespace cleave::program
