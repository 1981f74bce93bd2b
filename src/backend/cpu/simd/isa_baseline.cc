// The loops compiled for what every CPU of the architecture has.
#define CLEAVE_VECTOR_BYTES 16
#define CLEAVE_TILE_ROWS 6
#include "backend/cpu/simd/isa_table.h"

namespace cleave::backend::simd {

Table make_baseline_table() { return table_of_loops("baseline"); }

}  // namespace cleave::backend::simd
