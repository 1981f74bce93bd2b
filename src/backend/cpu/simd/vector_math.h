// Elementary functions of float without branches, so that loops over them become vector code.
// Included by the isa_*.cc files only. Polynomials are minimax fits (Lawson's algorithm) of the
// expression beside them; their own error is under 0.2 units in the last place.
#pragma once

#include <cmath>
#include <cstdint>

namespace cleave::backend::simd {
namespace {

inline float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }
inline uint32_t bits_of(float value) { return __builtin_bit_cast(uint32_t, value); }

#ifdef __FMA__
inline float mul_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
inline float mul_add(float a, float b, float c) { return a * b + c; }
#endif

constexpr float kInfinity = __builtin_inff();

// Adding and subtracting 1.5 · 2^23 rounds to an integer, which then lies in the low bits.
constexpr float kRoundMagic = 12582912.0f;

inline float exp_value(float x) {
  x = x < -104.0f ? -104.0f : x;  // e^-104 rounds to 0
  x = x > 89.0f ? 89.0f : x;      // e^89 is infinite
  const float shifted = mul_add(x, 1.44269504f, kRoundMagic);
  const float n = shifted - kRoundMagic;
  float r = mul_add(n, -0.693145752f, x);  // ln 2 in two parts; the first has 12 trailing zeros
  r = mul_add(n, -1.42860677e-6f, r);
  float p = 1.381418901e-03f;  // (e^r - 1 - r) / r^2
  p = mul_add(p, r, 8.368914016e-03f);
  p = mul_add(p, r, 4.166840762e-02f);
  p = mul_add(p, r, 1.666651964e-01f);
  p = mul_add(p, r, 4.999999404e-01f);
  p = mul_add(p * r, r, r) + 1.0f;
  // 2^n in two factors: n reaches from -150 to 128.
  const int32_t exponent = static_cast<int32_t>(bits_of(shifted) - bits_of(kRoundMagic));
  const int32_t half = exponent >> 1;
  const float first = float_of(static_cast<uint32_t>(half + 127) << 23);
  const float second = float_of(static_cast<uint32_t>(exponent - half + 127) << 23);
  return p * first * second;
}

inline float log_value(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const float scaled = subnormal ? x * 8388608.0f : x;
  const uint32_t from_root = bits_of(scaled) - 0x3f3504f3u;  // bits of √½: mantissa in [√½, √2)
  const int32_t exponent = static_cast<int32_t>(from_root) >> 23;
  const float f = float_of(bits_of(scaled) - (static_cast<uint32_t>(exponent) << 23)) - 1.0f;
  const float e = static_cast<float>(exponent) - (subnormal ? 23.0f : 0.0f);
  float p = 6.746601313e-02f;  // (ln(1 + f) - f + f²/2) / f³
  p = mul_add(p, f, -1.167564094e-01f);
  p = mul_add(p, f, 1.188817471e-01f);
  p = mul_add(p, f, -1.240559146e-01f);
  p = mul_add(p, f, 1.421955079e-01f);
  p = mul_add(p, f, -1.666799635e-01f);
  p = mul_add(p, f, 2.000211924e-01f);
  p = mul_add(p, f, -2.500000894e-01f);
  p = mul_add(p, f, 3.333331347e-01f);
  const float square = f * f;
  float tail = mul_add(p * square, f, e * 1.42860677e-6f);
  tail = mul_add(-0.5f, square, tail);
  float y = mul_add(e, 0.693145752f, f + tail);
  y = x == 0.0f ? -kInfinity : y;
  y = x == kInfinity ? kInfinity : y;
  y = x < 0.0f ? float_of(0x7fc00000u) : y;
  return x != x ? x : y;
}

// ln(1 + x) for x in [0, 1]: the rounding error of 1 + x is put back.
inline float log1p_value(float x) {
  const float u = 1.0f + x;
  return log_value(u) + (x - (u - 1.0f)) / u;
}

inline float tanh_value(float x) {
  const float magnitude = __builtin_fabsf(x);
  const float s = x * x;
  float p = -5.439443514e-03f;  // (tanh x - x) / x³, x ≤ 0.66
  p = mul_add(p, s, 2.039796859e-02f);
  p = mul_add(p, s, -5.366504937e-02f);
  p = mul_add(p, s, 1.333054304e-01f);
  p = mul_add(p, s, -3.333324790e-01f);
  const float small = mul_add(p * s, x, x);
  const float large = 1.0f - 2.0f / (exp_value(2.0f * magnitude) + 1.0f);
  return magnitude < 0.625f ? small : __builtin_copysignf(large, x);
}

inline float sigmoid_value(float x) {
  const float e = exp_value(-__builtin_fabsf(x));
  const float y = (x < 0.0f ? e : 1.0f) / (1.0f + e);
  return x != x ? x : y;
}

// erfc(t) for t ≥ 0.
inline float erfc_value(float t) {
  t = t > 10.1f ? 10.1f : t;
  const float u = 1.0f / mul_add(0.5f, t, 1.0f);
  float p = 3.631780297e-02f;  // erfc(t) · e^(t²) / u
  p = mul_add(p, u, -1.942973435e-01f);
  p = mul_add(p, u, 3.898973465e-01f);
  p = mul_add(p, u, -3.022706509e-01f);
  p = mul_add(p, u, -9.899104014e-03f);
  p = mul_add(p, u, 2.779959142e-02f);
  p = mul_add(p, u, 5.808983371e-02f);
  p = mul_add(p, u, 1.847006232e-01f);
  p = mul_add(p, u, 2.453359067e-01f);
  p = mul_add(p, u, 2.822368145e-01f);
  p = mul_add(p, u, 2.820891738e-01f);
  // t² in two parts, or its rounding error would show in e^(-t²): high has 12 bits, so that its
  // square is exact.
  const float high = float_of(bits_of(t) & 0xfffff000u);
  const float low = (t - high) * (t + high);  // at most 0.05: few terms of e^(-low) suffice
  float rest = mul_add(low, -0.166666667f, 0.5f);
  rest = mul_add(low, rest, -1.0f);
  rest = mul_add(low, rest, 1.0f);
  return exp_value(-high * high) * rest * (p * u);
}

inline float erf_value(float x) {
  const float magnitude = __builtin_fabsf(x);
  const float s = x * x;
  float p = 7.853857824e-05f;  // erf(x) / x, x ≤ 1
  p = mul_add(p, s, -8.010192541e-04f);
  p = mul_add(p, s, 5.188327748e-03f);
  p = mul_add(p, s, -2.685381100e-02f);
  p = mul_add(p, s, 1.128358543e-01f);
  p = mul_add(p, s, -3.761262596e-01f);
  p = mul_add(p, s, 1.128379107e+00f);
  const float large = __builtin_copysignf(1.0f - erfc_value(magnitude), x);
  return magnitude < 0.9f ? p * x : large;
}

// x · Φ(x), with the tail of Φ from erfc so that it stays precise for negative x.
inline float gelu_value(float x) {
  const float tail = 0.5f * erfc_value(__builtin_fabsf(x) * 0.707106781f);
  const float y = x * (x < 0.0f ? tail : 1.0f - tail);
  return x == -kInfinity ? float_of(0x7fc00000u) : y;
}

// ½ (1 + tanh z) is sigmoid(2 z); the constants are 2 √(2/π) and 0.044715 times that.
inline float gelu_tanh_value(float x) {
  return x * sigmoid_value(x * mul_add(0.0713548163f, x * x, 1.59576912f));
}

inline float softplus_value(float x) {
  const float y = (x > 0.0f ? x : 0.0f) + log1p_value(exp_value(-__builtin_fabsf(x)));
  return x != x ? x : y;
}

// e^x - 1 for x < 0; small x by a polynomial, as 1 would swallow them.
inline float expm1_value(float x) {
  float p = 2.01e-4f;  // (e^x - 1 - x - x²/2) / x³, |x| ≤ 0.35: Taylor's terms suffice
  p = mul_add(p, x, 1.388888889e-03f);
  p = mul_add(p, x, 8.333333333e-03f);
  p = mul_add(p, x, 4.166666667e-02f);
  p = mul_add(p, x, 1.666666667e-01f);
  const float square = x * x;
  const float small = x + mul_add(p * x, square, 0.5f * square);
  return __builtin_fabsf(x) < 0.35f ? small : exp_value(x) - 1.0f;
}

// Sine of x + quarter · π/2. The argument is reduced in double, which is precise up to 2^20; larger
// arguments go to the C library.
inline float sine_value(float x, int32_t quarter) {
  const double wide = static_cast<double>(x);
  constexpr double kMagic = 6755399441055744.0;  // 1.5 · 2^52
  const double n = (wide * 0.63661977236758134308 + kMagic) - kMagic;
  const double high = wide - n * 1.57079632673412561417e+00;  // 33 bits of π/2: products are exact
  const float r = static_cast<float>(high - n * 6.07710050650619224932e-11);
  const int32_t turn = static_cast<int32_t>(n) + quarter;
  const float s = r * r;
  float sine = 2.718216820e-06f;  // (sin r - r) / r³
  sine = mul_add(sine, s, -1.983932452e-04f);
  sine = mul_add(sine, s, 8.333329111e-03f);
  sine = mul_add(sine, s, -1.666666716e-01f);
  sine = mul_add(sine * s, r, r);
  float cosine = -2.720485099e-07f;  // (cos r - 1 + r²/2) / r⁴
  cosine = mul_add(cosine, s, 2.479944851e-05f);
  cosine = mul_add(cosine, s, -1.388888340e-03f);
  cosine = mul_add(cosine, s, 4.166666791e-02f);
  cosine = mul_add(cosine * s, s, mul_add(-0.5f, s, 1.0f));
  const float y = (turn & 1) != 0 ? cosine : sine;
  return float_of(bits_of(y) ^ (static_cast<uint32_t>(turn & 2) << 30));
}
constexpr float kSineLimit = 1048576.0f;

inline float max_value(float a, float b) { return a != a || a > b ? a : b; }
inline float min_value(float a, float b) { return a != a || a < b ? a : b; }

}  // namespace
}  // namespace cleave::backend::simd
