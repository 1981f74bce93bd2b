// FusedLoop: the loop that carries out one step of a FusedProgram on a tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "backend/cpu/generic_loops.h"
#include "backend/cpu/simd/simd.h"
#include "types/fused.h"

namespace cleave::backend {

// Where a value lies while a tile is computed; a step of 0 is one value for all.
struct LoopOperand {
  const std::byte* data = nullptr;
  int64_t step = 0;
};

struct FusedLoop {
  enum class Kind : uint8_t {
    kUnary,
    kBinary,
    kCompare,
    kLogical,
    kNot,
    kIsNan,
    kWhere,
    kGeneric,
    kRoundHalf,
    kRoundBFloat16
  };
  Kind kind = Kind::kGeneric;
  int args = 0;
  float alpha = 0;
  double wide_alpha = 0;
  simd::Table::UnaryLoop unary = nullptr;
  simd::Table::BinaryLoop binary = nullptr;
  simd::Table::CompareLoop compare = nullptr;
  simd::Table::LogicalLoop logical = nullptr;
  GenericLoop generic = nullptr;

  // The loop of `step` for arguments of these types; nothing where there is none.
  static std::optional<FusedLoop> find(const FusedStep& step, std::span<const DType> arguments,
                                       const simd::Table& table);
  // Computes `count` elements from `args` operands; `table` is the one that it was found in.
  void run(const simd::Table& table, const LoopOperand* in, int64_t count, std::byte* to) const;
};

// A rough cost of one element, in elements of a simple step.
int64_t fused_cost(std::string_view op);

}  // namespace cleave::backend
