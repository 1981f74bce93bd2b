// The arithmetic of reductions over ranks.
#pragma once

#include <cstdint>

#include "comm/communicator.h"

namespace cleave {

// dst[i] = terms[0][offset + i] op ... op terms[count_of_terms - 1][offset + i] for i < count, in
// that order (see Communicator for the rules of each type). `dst` may be the place of a term that
// it is computed from, exactly; terms and `dst` are aligned to their elements.
using ReduceFunction = void (*)(const void* const* terms, int count_of_terms, int64_t offset,
                                int64_t count, void* dst);

ReduceFunction reduce_function(DType type, ReduceOp op);

}  // namespace cleave
