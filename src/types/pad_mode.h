// What stands around a padded tensor.
#pragma once

#include <cstdint>

#include "types/attributes.h"

namespace cleave {

enum class PadMode {
  kConstant,
  kReflect,  // the elements backwards, without repeating the outermost: c b [a b c] b a
  kEdge,     // the outermost: a a [a b c] c c
  kWrap,     // the elements again: b c [a b c] a b
};

// The attribute `mode`, which is constant where absent. Error(kInvalid) where it is none of them.
PadMode pad_mode(const Attributes& attributes);

// Which of `extent` > 0 elements stands at `position`, for any but kConstant.
int64_t padded_source(PadMode mode, int64_t position, int64_t extent);

}  // namespace cleave
