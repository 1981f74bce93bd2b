// The loops compiled for what every CPU of the architecture has.
#define CLEAVE_VECTOR_BYTES 16
#define CLEAVE_TILE_ROWS 6
#include "backend/cpu/simd/convert_loops.h"
#include "backend/cpu/simd/elementwise_loops.h"
#include "backend/cpu/simd/gemm_tiles.h"
#include "backend/cpu/simd/isa.h"
#include "backend/cpu/simd/row_loops.h"

namespace cleave::backend::simd {

Table make_baseline_table() {
  Table table;
  table.name = "baseline";
  fill_elementwise(table);
  fill_conversions(table);
  fill_rows(table);
  fill_tiles(table);
  return table;
}

}  // namespace cleave::backend::simd
