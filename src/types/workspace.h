// What ops take of the workspace: capabilities state these bounds, and kernels keep to them.
#pragma once

#include <cstdint>

namespace cleave {

// Attention: for what is made of parts of the keys, or what a library's plan keeps; and on GPUs for
// a mask that is laid out anew.
inline constexpr int64_t kAttentionPartsBytes = int64_t{4} << 20;
inline constexpr int64_t kMostAttentionBiasBytes = int64_t{256} << 20;

// Products on GPUs: for cuBLASLt's algorithms.
inline constexpr int64_t kCublasWorkspaceBytes = int64_t{32} << 20;

// Convolutions on GPUs, for cuDNN's algorithms and the operand with its padding: the least, three
// times the operands' bytes more, and the most.
inline constexpr int64_t kLeastConvWorkspaceBytes = int64_t{16} << 20;
inline constexpr int64_t kConvWorkspaceShare = 3;
inline constexpr int64_t kMostConvWorkspaceBytes = int64_t{256} << 20;

}  // namespace cleave
