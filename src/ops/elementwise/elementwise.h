// The table of scalar operations: what one element of an element-wise op is computed from.
#pragma once

#include <span>
#include <string_view>

#include "types/dtype.h"
#include "types/reduce_op.h"

namespace cleave::ops {

// Holds every value of every integer type and, modulo 2^64, every result.
using WideInteger = __int128;

struct ScalarOp {
  enum class Accepts { kFloating, kNumeric, kInteger, kBool, kAny };
  // In which operands the op is linear, as bits: 1 for the first, 2 for the second.
  struct Linear {
    ReduceOp reduce;
    unsigned operands;
    bool floating_only = false;
  };

  std::string_view name;
  int arity = 1;
  Accepts accepts = Accepts::kFloating;
  bool to_bool = false;    // the result is bool, else of the operands' type
  bool has_alpha = false;  // takes the attribute `alpha`, which `real` gets as its second argument
  double (*real)(double a, double b) = nullptr;
  // Exact, for integers and bool; null where only floating types are accepted.
  WideInteger (*integer)(WideInteger a, WideInteger b) = nullptr;
  std::span<const Linear> linear = {};

  bool takes(DType type) const;
};

std::span<const ScalarOp> scalar_ops();
// Null where there is none.
const ScalarOp* find_scalar_op(std::string_view name);

}  // namespace cleave::ops
