// The loops compiled for AVX512; see cmake/CleaveKernels.cmake for the flags.
#ifdef CLEAVE_X86_SIMD
#define CLEAVE_VECTOR_BYTES 64
#define CLEAVE_TILE_ROWS 12
#include "backend/cpu/simd/isa_table.h"

namespace cleave::backend::simd {

Table make_avx512_table() { return table_of_loops("avx512"); }

}  // namespace cleave::backend::simd
#endif
