// The loops compiled for AVX2; see cmake/CleaveKernels.cmake for the flags.
#ifdef CLEAVE_X86_SIMD
#define CLEAVE_VECTOR_BYTES 32
#define CLEAVE_TILE_ROWS 6
#include "backend/cpu/simd/isa_table.h"

namespace cleave::backend::simd {

Table make_avx2_table() { return table_of_loops("avx2"); }

}  // namespace cleave::backend::simd
#endif
