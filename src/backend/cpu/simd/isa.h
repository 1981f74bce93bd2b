// The tables that the isa_*.cc files make.
#pragma once

#include "backend/cpu/simd/simd.h"

namespace cleave::backend::simd {

Table make_baseline_table();
#ifdef CLEAVE_X86_SIMD
Table make_avx2_table();
Table make_avx512_table();
#endif

}  // namespace cleave::backend::simd
