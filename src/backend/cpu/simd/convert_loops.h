// Conversions between float and the 16-bit storage types. Included by the isa_*.cc files only.
#pragma once

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "backend/cpu/simd/simd.h"
#include "backend/cpu/simd/vector_math.h"

namespace cleave::backend::simd {
namespace {

inline float half_value(uint32_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  // The exponent is rebased by a multiplication, which also normalises subnormals.
  const float finite = float_of(magnitude << 13) * 0x1p112f;
  const uint32_t special = 0x7f800000u | (magnitude << 13);
  return float_of(sign | (magnitude >= 0x7c00u ? special : bits_of(finite)));
}

inline uint16_t half_bits(float value) {
  const uint32_t u = bits_of(value);
  const uint32_t sign = (u >> 16) & 0x8000u;
  const uint32_t magnitude = u & 0x7fffffffu;
  const uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t normal = (magnitude + 0xc8000fffu + ((magnitude >> 13) & 1u)) >> 13;
  uint32_t result = magnitude < 0x38800000u ? subnormal : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00u : result;
  result = magnitude > 0x7f800000u ? 0x7e00u : result;
  return static_cast<uint16_t>(sign | result);
}

inline uint16_t bfloat16_bits(float value) {
  const uint32_t u = bits_of(value);
  const uint32_t nan = (u >> 16) | 0x40u;
  const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

void half_to_float(const uint16_t* x, float* y, int64_t n) {
  int64_t i = 0;
#ifdef __F16C__
  for (; i + 8 <= n; i += 8) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
    _mm256_storeu_ps(y + i, _mm256_cvtph_ps(bits));
  }
#endif
  for (; i < n; ++i) y[i] = half_value(x[i]);
}

void float_to_half(const float* x, uint16_t* y, int64_t n) {
  int64_t i = 0;
#ifdef __F16C__
  for (; i + 8 <= n; i += 8) {
    const __m128i bits = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), bits);
  }
#endif
  for (; i < n; ++i) y[i] = half_bits(x[i]);
}

void bfloat16_to_float(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = float_of(static_cast<uint32_t>(x[i]) << 16);
}

void float_to_bfloat16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = bfloat16_bits(x[i]);
}

void fill_conversions(Table& t) {
  t.half_to_float = half_to_float;
  t.float_to_half = float_to_half;
  t.bfloat16_to_float = bfloat16_to_float;
  t.float_to_bfloat16 = float_to_bfloat16;
}

}  // namespace
}  // namespace cleave::backend::simd
