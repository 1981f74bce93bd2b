// Bounds on what a model may ask for, against hostile files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cleave::onnx {

// Nested messages; libprotobuf refuses deeper ones too. A subgraph takes three levels.
inline constexpr int kMaxNesting = 96;
// Nodes after functions are inlined, and the bytes of all their names.
inline constexpr size_t kMaxNodes = 500'000;
inline constexpr size_t kMaxNameBytes = size_t{256} << 20;
// Calls of functions inside functions.
inline constexpr size_t kMaxCallDepth = 64;
inline constexpr size_t kMaxRank = 64;
// Elements of a tensor that is followed as symbolic values.
inline constexpr int64_t kMaxSymbolicElements = 4096;

}  // namespace cleave::onnx
