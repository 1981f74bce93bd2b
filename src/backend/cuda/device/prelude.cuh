// What all device code starts with: element types, the arithmetic of cleave's ops on them, and
// tensors reached by strides. It stands alone: no header of any toolkit is needed where it is
// compiled.

using int8_t = signed char;
using int16_t = short;
using int32_t = int;
using int64_t = long long;
using uint8_t = unsigned char;
using uint16_t = unsigned short;
using uint32_t = unsigned int;
using uint64_t = unsigned long long;

// Every kernel does this first (backend/cuda/overlap.h): the one behind it may be brought onto the
// device from now on, and all that is before it on the stream has ended and can be seen.
__device__ inline void await_stream() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

__device__ inline float widen(Half h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h.bits));
  return f;
}
__device__ inline float widen(BFloat16 b) { return __uint_as_float(uint32_t(b.bits) << 16); }
template <class T>
__device__ inline T widen(T value) {
  return value;
}

// What an element type is computed in.
template <class T>
struct WorkingType {
  using Type = T;
};
template <>
struct WorkingType<Half> {
  using Type = float;
};
template <>
struct WorkingType<BFloat16> {
  using Type = float;
};
template <class T>
using Working = typename WorkingType<T>::Type;

template <class T>
struct Narrow {
  static __device__ T from(T value) { return value; }
};
template <>
struct Narrow<Half> {
  static __device__ Half from(float value) {
    Half h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h.bits) : "f"(value));
    return h;
  }
};
template <>
struct Narrow<BFloat16> {
  static __device__ BFloat16 from(float value) {
    BFloat16 b;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(b.bits) : "f"(value));
    return b;
  }
};
template <class T>
__device__ inline T narrow(Working<T> value) {
  return Narrow<T>::from(value);
}

template <class T>
struct IsFloating {
  static constexpr bool value = false;
};
template <>
struct IsFloating<float> {
  static constexpr bool value = true;
};
template <>
struct IsFloating<double> {
  static constexpr bool value = true;
};
template <class T>
struct Limits;
#define CLEAVE_LIMITS(T, LOW, HIGH)                \
  template <>                                      \
  struct Limits<T> {                               \
    static __device__ T lowest() { return LOW; }   \
    static __device__ T highest() { return HIGH; } \
  };
CLEAVE_LIMITS(int8_t, -128, 127)
CLEAVE_LIMITS(int16_t, -32768, 32767)
CLEAVE_LIMITS(int32_t, -2147483647 - 1, 2147483647)
CLEAVE_LIMITS(int64_t, -9223372036854775807LL - 1, 9223372036854775807LL)
CLEAVE_LIMITS(uint8_t, 0, 255)
CLEAVE_LIMITS(uint16_t, 0, 65535)
CLEAVE_LIMITS(uint32_t, 0, 4294967295u)
CLEAVE_LIMITS(uint64_t, 0, 18446744073709551615ull)
CLEAVE_LIMITS(bool, false, true)
CLEAVE_LIMITS(float, -__int_as_float(0x7f800000), __int_as_float(0x7f800000))
CLEAVE_LIMITS(double, -__longlong_as_double(0x7ff0000000000000LL),
              __longlong_as_double(0x7ff0000000000000LL))
#undef CLEAVE_LIMITS

__device__ inline bool is_nan(float a) { return a != a; }
__device__ inline bool is_nan(double a) { return a != a; }
template <class T>
__device__ inline bool is_nan(T) {
  return false;
}

// ---- Casts: float to integer truncates and saturates (NaN is 0), integers wrap around, anything
// that is not zero is true.
template <class To, class From>
__device__ inline To cast_to(From value) {
  if constexpr (IsFloating<From>::value && !IsFloating<To>::value) {
    const double wide = double(value);
    if (is_nan(wide)) return To(0);
    if (wide <= double(Limits<To>::lowest())) return Limits<To>::lowest();
    if (wide >= double(Limits<To>::highest())) return Limits<To>::highest();
    return To(wide);
  } else if constexpr (!IsFloating<From>::value && IsFloating<To>::value && sizeof(To) == 4) {
    return float(double(value));
  } else {
    return To(value);
  }
}
template <>
__device__ inline bool cast_to<bool, float>(float value) {
  return value != 0;
}
template <>
__device__ inline bool cast_to<bool, double>(double value) {
  return value != 0;
}

// ---- Reductions: integers wrap around; max and min give NaN where either is NaN; on booleans sum
// and max are "or", prod and min "and".
enum ReduceOp { kSum, kMax, kMin, kProd };
template <ReduceOp kOp, class A>
__device__ inline A identity() {
  if (kOp == kSum) return A(0);
  if (kOp == kProd) return A(1);
  return kOp == kMax ? Limits<A>::lowest() : Limits<A>::highest();
}
template <ReduceOp kOp>
__device__ inline bool combine(bool a, bool b) {
  return kOp == kSum || kOp == kMax ? (a || b) : (a && b);
}
// One instruction, and none that branches: what is read next need not wait.
template <ReduceOp kOp>
__device__ inline float extreme(float a, float b) {
  float result;
  if constexpr (kOp == kMax) {
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  } else {
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  }
  return result;
}
template <ReduceOp kOp, class A>
__device__ inline A extreme(A a, A b) {
  if (is_nan(a)) return a;
  if (is_nan(b)) return b;
  return (kOp == kMax ? a > b : a < b) ? a : b;
}
template <ReduceOp kOp, class A>
__device__ inline A combine(A a, A b) {
  if constexpr (kOp == kMax || kOp == kMin) {
    return extreme<kOp>(a, b);
  } else if constexpr (IsFloating<A>::value) {
    return kOp == kSum ? a + b : a * b;
  } else {
    const uint64_t x = uint64_t(a), y = uint64_t(b);
    return A(kOp == kSum ? x + y : x * y);
  }
}

// ---- Element-wise functions. Of 16-bit types they are those of float.
template <class T>
__device__ inline T op_neg(T a) {
  if constexpr (IsFloating<T>::value) return -a;
  return T(0 - uint64_t(a));
}
template <class T>
__device__ inline T op_abs(T a) {
  if constexpr (IsFloating<T>::value) return fabs(a);
  return a < 0 ? op_neg(a) : a;
}
template <class T>
__device__ inline T op_sign(T a) {
  return is_nan(a) ? a : T((a > 0) - (a < 0));
}
template <class T>
__device__ inline T op_relu(T a) {
  return a < 0 ? T(0) : a;
}
template <class T>
__device__ inline T op_exp(T a) {
  return exp(a);
}
template <class T>
__device__ inline T op_log(T a) {
  return log(a);
}
template <class T>
__device__ inline T op_sqrt(T a) {
  return sqrt(a);
}
template <class T>
__device__ inline T op_rsqrt(T a) {
  return T(1) / sqrt(a);
}
template <class T>
__device__ inline T op_reciprocal(T a) {
  return T(1) / a;
}
template <class T>
__device__ inline T op_tanh(T a) {
  return tanh(a);
}
template <class T>
__device__ inline T op_erf(T a) {
  return erf(a);
}
// a / (1 + e^-b): what sigmoid, SiLU and GELU's approximation are made of. Where e^-b is so large
// that the fast division gives 0, the result is 0 as far as float32 goes, too.
template <class T>
__device__ inline T gated(T a, T b) {
  if constexpr (sizeof(T) == 4) {
    return __fdividef(a, 1.0f + expf(-b));
  } else {
    return a / (T(1) + exp(-b));
  }
}
template <class T>
__device__ inline T op_sigmoid(T a) {
  return gated(T(1), a);
}
template <class T>
__device__ inline T op_sin(T a) {
  return sin(a);
}
template <class T>
__device__ inline T op_cos(T a) {
  return cos(a);
}
template <class T>
__device__ inline T op_tan(T a) {
  return tan(a);
}
template <class T>
__device__ inline T op_asin(T a) {
  return asin(a);
}
template <class T>
__device__ inline T op_acos(T a) {
  return acos(a);
}
template <class T>
__device__ inline T op_atan(T a) {
  return atan(a);
}
template <class T>
__device__ inline T op_sinh(T a) {
  return sinh(a);
}
template <class T>
__device__ inline T op_cosh(T a) {
  return cosh(a);
}
template <class T>
__device__ inline T op_asinh(T a) {
  return asinh(a);
}
template <class T>
__device__ inline T op_acosh(T a) {
  return acosh(a);
}
template <class T>
__device__ inline T op_atanh(T a) {
  return atanh(a);
}
template <class T>
__device__ inline T op_floor(T a) {
  return floor(a);
}
template <class T>
__device__ inline T op_ceil(T a) {
  return ceil(a);
}
template <class T>
__device__ inline T op_round(T a) {
  return rint(a);
}
template <class T>
__device__ inline T op_gelu(T a) {
  return T(0.5) * a * (T(1) + erf(a * T(0.70710678118654752440)));
}
template <class T>
__device__ inline T op_gelu_tanh(T a) {
  // (1 + tanh(u)) / 2 is the logistic function of 2 u.
  return gated(a, T(1.59576912160573071176) * (a + T(0.044715) * a * a * a));
}
template <class T>
__device__ inline T op_silu(T a) {
  return gated(a, a);
}
template <class T>
__device__ inline T op_softplus(T a) {
  return fmax(a, T(0)) + log1p(exp(-fabs(a)));
}
// NaN goes through.
template <class T>
__device__ inline T clamped(T a, T high) {
  return a < T(0) ? T(0) : a > high ? high : a;
}
template <class T>
__device__ inline T op_hard_swish(T a) {
  return a * (clamped(a + T(3), T(6)) / T(6));
}
template <class T>
__device__ inline T op_hard_sigmoid(T a, double alpha) {
  return clamped(T(alpha) * a + T(0.5), T(1));
}
template <class T>
__device__ inline T op_leaky_relu(T a, double alpha) {
  return a < 0 ? T(alpha) * a : a;
}
template <class T>
__device__ inline T op_elu(T a, double alpha) {
  return a < 0 ? T(alpha) * expm1(a) : a;
}
__device__ inline bool op_not(bool a) { return !a; }
template <class T>
__device__ inline bool op_is_nan(T a) {
  return is_nan(a);
}
template <class T>
__device__ inline T op_bit_not(T a) {
  return T(~a);
}

template <class T>
__device__ inline T op_add(T a, T b) {
  if constexpr (IsFloating<T>::value) return a + b;
  return T(uint64_t(a) + uint64_t(b));
}
template <class T>
__device__ inline T op_sub(T a, T b) {
  if constexpr (IsFloating<T>::value) return a - b;
  return T(uint64_t(a) - uint64_t(b));
}
template <class T>
__device__ inline T op_mul(T a, T b) {
  if constexpr (IsFloating<T>::value) return a * b;
  return T(uint64_t(a) * uint64_t(b));
}
// Of integers: truncates; division by zero gives 0, and the lowest number over -1 wraps around.
template <class T>
__device__ inline T op_div(T a, T b) {
  if constexpr (IsFloating<T>::value) {
    return a / b;
  } else {
    if (b == 0) return 0;
    if (T(-1) < 0 && b == T(-1)) return op_neg(a);
    return T(a / b);
  }
}
// Of integers: the sign is the divisor's; of others: the dividend's.
template <class T>
__device__ inline T op_mod(T a, T b) {
  if constexpr (IsFloating<T>::value) {
    return fmod(a, b);
  } else {
    if (b == 0) return 0;
    if (T(-1) < 0 && b == T(-1)) return 0;
    const T rest = T(a % b);
    return rest != 0 && T(-1) < 0 && (rest < 0) != (b < 0) ? T(rest + b) : rest;
  }
}
template <class T>
__device__ inline T op_pow(T a, T b) {
  if constexpr (IsFloating<T>::value) {
    return pow(a, b);
  } else {
    if (T(-1) < 0 && b < 0) {
      if (a == 1) return 1;
      if (a == T(-1)) return b % 2 == 0 ? T(1) : T(-1);
      return 0;
    }
    uint64_t result = 1;
    uint64_t square = uint64_t(a);
    for (uint64_t left = uint64_t(b); left > 0; left >>= 1) {
      if (left & 1) result *= square;
      square *= square;
    }
    return T(result);
  }
}
template <class T>
__device__ inline T op_min(T a, T b) {
  return is_nan(a) || a < b ? a : b;
}
template <class T>
__device__ inline T op_max(T a, T b) {
  return is_nan(a) || a > b ? a : b;
}
__device__ inline bool op_and(bool a, bool b) { return a && b; }
__device__ inline bool op_or(bool a, bool b) { return a || b; }
__device__ inline bool op_xor(bool a, bool b) { return a != b; }
template <class T>
__device__ inline T op_bit_and(T a, T b) {
  return T(a & b);
}
template <class T>
__device__ inline T op_bit_or(T a, T b) {
  return T(a | b);
}
template <class T>
__device__ inline T op_bit_xor(T a, T b) {
  return T(a ^ b);
}
// A count outside of [0, 64) shifts every bit out.
template <class T>
__device__ inline T op_shift_left(T a, T b) {
  const int64_t count = int64_t(b);
  return count < 0 || count > 63 ? T(0) : T(uint64_t(a) << count);
}
template <class T>
__device__ inline T op_shift_right(T a, T b) {
  const int64_t count = int64_t(b);
  if (count < 0 || count > 63) return T(-1) < 0 && a < 0 ? T(-1) : T(0);
  if (T(-1) < 0) return T(int64_t(a) >> count);
  return T(uint64_t(a) >> count);
}
template <class T>
__device__ inline bool op_equal(T a, T b) {
  return a == b;
}
template <class T>
__device__ inline bool op_less(T a, T b) {
  return a < b;
}
template <class T>
__device__ inline bool op_less_equal(T a, T b) {
  return a <= b;
}
template <class T>
__device__ inline bool op_greater(T a, T b) {
  return a > b;
}
template <class T>
__device__ inline bool op_greater_equal(T a, T b) {
  return a >= b;
}
template <class T>
__device__ inline T op_where(bool c, T a, T b) {
  return c ? a : b;
}

// ---- Tensors by strides.
constexpr int kMostDims = 8;

// Division of numbers below 2^31 by one that is the same for all threads.
struct Divisor {
  uint32_t value;
  uint32_t magic;
  uint32_t shift;
  __device__ uint32_t divide(uint32_t n) const { return (__umulhi(n, magic) + n) >> shift; }
};

// The elements of an operation whose operands all have one shape (backend/cuda/space.h lays it
// out).
template <int kOperands>
struct Space {
  int64_t elements;
  int32_t dims;
  Divisor extents[kMostDims];             // outermost first
  int64_t strides[kOperands][kMostDims];  // in elements

  // Offsets of the element `index` of the first `dims` dimensions.
  __device__ void locate(uint32_t index, int64_t (&offsets)[kOperands]) const {
#pragma unroll
    for (int i = 0; i < kOperands; ++i) offsets[i] = 0;
    for (int d = dims - 1; d > 0; --d) {
      const uint32_t rest = extents[d].divide(index);
      const uint32_t at = index - rest * extents[d].value;
      index = rest;
#pragma unroll
      for (int i = 0; i < kOperands; ++i) offsets[i] += int64_t(at) * strides[i][d];
    }
    if (dims == 0) return;
#pragma unroll
    for (int i = 0; i < kOperands; ++i) offsets[i] += int64_t(index) * strides[i][0];
  }
};

// kCount elements that are read and written together, up to 16 bytes at once.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Vector {
  T at[kCount];
};
