#include "backend/cpu/simd/simd.h"

#include <initializer_list>

#include "backend/cpu/simd/isa.h"

namespace cleave::backend::simd {

const Table* table(Isa isa) {
  static const Table baseline = make_baseline_table();
  if (isa == Isa::kBaseline) return &baseline;
#ifdef CLEAVE_X86_SIMD
  if (isa == Isa::kAvx2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("f16c")) {
    static const Table avx2 = make_avx2_table();
    return &avx2;
  }
  if (isa == Isa::kAvx512 && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("f16c")) {
    static const Table avx512 = make_avx512_table();
    return &avx512;
  }
#endif
  return nullptr;
}

const Table& best() {
  for (Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
    if (const Table* found = table(isa)) return *found;
  }
  return *table(Isa::kBaseline);
}

}  // namespace cleave::backend::simd
