// The loops compiled for AVX512; see cmake/CleaveKernels.cmake for the flags.
#ifdef CLEAVE_X86_SIMD
#define CLEAVE_VECTOR_BYTES 64
#define CLEAVE_TILE_ROWS 12
#include "backend/cpu/simd/convert_loops.h"
#include "backend/cpu/simd/elementwise_loops.h"
#include "backend/cpu/simd/gemm_tiles.h"
#include "backend/cpu/simd/isa.h"
#include "backend/cpu/simd/row_loops.h"

namespace cleave::backend::simd {

Table make_avx512_table() {
  Table table;
  table.name = "avx512";
  fill_elementwise(table);
  fill_conversions(table);
  fill_rows(table);
  fill_tiles(table);
  return table;
}

}  // namespace cleave::backend::simd
#endif
