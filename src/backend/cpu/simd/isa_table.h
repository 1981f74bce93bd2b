// The table of all loops as the including file compiles them: isa_<instruction set>.cc defines
// CLEAVE_VECTOR_BYTES and CLEAVE_TILE_ROWS, then includes this.
#pragma once

#include "backend/cpu/simd/attention_loops.h"
#include "backend/cpu/simd/channel_tiles.h"
#include "backend/cpu/simd/convert_loops.h"
#include "backend/cpu/simd/elementwise_loops.h"
#include "backend/cpu/simd/gemm_tiles.h"
#include "backend/cpu/simd/isa.h"
#include "backend/cpu/simd/row_loops.h"

namespace cleave::backend::simd {
namespace {

Table table_of_loops(const char* name) {
  Table table;
  table.name = name;
  fill_elementwise(table);
  fill_conversions(table);
  fill_rows(table);
  fill_tiles(table);
  fill_channel_tiles(table);
  fill_attention(table);
  return table;
}

}  // namespace
}  // namespace cleave::backend::simd
