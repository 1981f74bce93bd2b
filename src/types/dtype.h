// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cleave/dtype.h"

namespace cleave {

size_t size_of(DType type);            // bytes an element
std::string_view name_of(DType type);  // "f32", "i64", ... as in the text form
std::optional<DType> parse_dtype(std::string_view name);
bool is_floating(DType type);
bool is_integer(DType type);  // not bool

}  // namespace cleave
