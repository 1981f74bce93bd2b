// Checks of operands and attributes that the type inference of several ops shares.
#pragma once

#include <string>
#include <string_view>

#include "ops/definition.h"

namespace cleave::ops {

[[noreturn]] inline void invalid(std::string message, std::string hint = {}) {
  throw Error(ErrorCode::kInvalid, std::move(message), std::move(hint));
}

inline void require_floating(const TensorType& type, std::string_view what) {
  if (!is_floating(type.dtype)) {
    invalid(std::string(what) + " is " + std::string(name_of(type.dtype)) +
            ", but must be floating point");
  }
}

inline void require_same_dtype(const TensorType& a, const TensorType& b, std::string_view what) {
  if (a.dtype != b.dtype) {
    invalid(std::string(what) + " have different types: " + std::string(name_of(a.dtype)) +
            " and " + std::string(name_of(b.dtype)));
  }
}

// One factor as all that a dimension runs along.
inline layout::DimFactors along(uint32_t factor) { return {layout::FactorUse{.factor = factor}}; }

}  // namespace cleave::ops
