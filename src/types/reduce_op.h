// Reductions that partial results are combined with.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cleave {

// The numbers are part of the engine format.
enum class ReduceOp : uint8_t { kSum = 0, kMax = 1, kMin = 2, kProd = 3 };

inline std::string_view name_of(ReduceOp op) {
  constexpr std::string_view kNames[] = {"sum", "max", "min", "prod"};
  return kNames[static_cast<size_t>(op)];
}

inline std::optional<ReduceOp> parse_reduce_op(std::string_view name) {
  for (uint8_t i = 0; i < 4; ++i) {
    if (name == name_of(static_cast<ReduceOp>(i))) return static_cast<ReduceOp>(i);
  }
  return std::nullopt;
}

}  // namespace cleave
