#include "comm/reduce.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <type_traits>

#include "base/check.h"
#include "base/half.h"

namespace cleave {
namespace {

// Elements combined at a time: the accumulators of a block (4 KiB of float32) stay in the L1 cache
// while the terms stream past.
constexpr int64_t kBlock = 1024;

// Inlined into functions for several instruction sets, so that each compiles it for its own.
#define CLEAVE_INLINE __attribute__((always_inline)) inline

// How a type is stored and in which it is combined. Integers are combined as unsigned ones, whose
// overflow wraps; max and min need the sign.
template <class Stored>
struct Element {
  using Accumulator = Stored;
  CLEAVE_INLINE static Accumulator load(Stored value) { return value; }
  CLEAVE_INLINE static Stored store(Accumulator value) { return value; }
};

template <>
struct Element<BFloat16> {
  using Accumulator = float;
  CLEAVE_INLINE static float load(BFloat16 value) { return static_cast<float>(value); }
  CLEAVE_INLINE static BFloat16 store(float value) { return BFloat16(value); }
};

// Conversions without branches, so that loops over them become vector code; the same results as
// Half's own but for the payload of a NaN.
template <>
struct Element<Half> {
  using Accumulator = float;
  CLEAVE_INLINE static float load(Half value) {
    const uint32_t sign = uint32_t{value.bits & 0x8000u} << 16;
    const uint32_t shifted = uint32_t{value.bits & 0x7fffu} << 13;
    // The exponent is rebiased (by 127 - 15) in float arithmetic, which serves subnormals too.
    const uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(shifted) * 0x1p112f);
    const uint32_t infinite = select(shifted >= 0x0f800000u, 0x7f800000u, 0u);
    return std::bit_cast<float>(sign | scaled | infinite);
  }
  CLEAVE_INLINE static Half store(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t normal = (magnitude + 0xc8000fffu + ((magnitude >> 13) & 1u)) >> 13;
    // Added to 0.5 a subnormal's bits end where float32 rounds.
    const uint32_t subnormal =
        std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t result = select(magnitude < 0x38800000u, subnormal, normal);
    result = select(magnitude >= 0x477ff000u, 0x7c00u, result);
    result = select(magnitude > 0x7f800000u, 0x7e00u, result);
    Half half;
    half.bits = static_cast<uint16_t>(sign | result);
    return half;
  }

 private:
  // A conditional expression could become a jump, and then the loop no vector code.
  CLEAVE_INLINE static uint32_t select(bool condition, uint32_t yes, uint32_t no) {
    const uint32_t mask = 0u - static_cast<uint32_t>(condition);
    return (yes & mask) | (no & ~mask);
  }
};

template <class T>
CLEAVE_INLINE T wrapping_sum(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  } else {
    return a + b;
  }
}

template <class T>
CLEAVE_INLINE T wrapping_product(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    // 64 bits, so that two 16-bit factors are not promoted to a signed int that overflows.
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  } else {
    return a * b;
  }
}

template <ReduceOp op, class T>
CLEAVE_INLINE T combine(T a, T b) {
  if constexpr (op == ReduceOp::kSum) return wrapping_sum(a, b);
  if constexpr (op == ReduceOp::kProd) return wrapping_product(a, b);
  // A NaN on either side wins: where `a` is NaN the comparison keeps it, `b` is asked for.
  if constexpr (op == ReduceOp::kMax) return (b > a || b != b) ? b : a;
  if constexpr (op == ReduceOp::kMin) return (b < a || b != b) ? b : a;
}

template <ReduceOp op, class Stored>
CLEAVE_INLINE void reduce_blocks(const void* const* terms, int count_of_terms, int64_t offset,
                                 int64_t count, void* dst) {
  using E = Element<Stored>;
  const auto term = [&](int t) { return static_cast<const Stored*>(terms[t]) + offset; };
  auto* out = static_cast<Stored*>(dst);
  if (count_of_terms == 1) {
    if (out != term(0)) std::copy(term(0), term(0) + count, out);
    return;
  }
  typename E::Accumulator sum[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t n = std::min(kBlock, count - begin);
    const Stored* first = term(0) + begin;
    for (int64_t i = 0; i < n; ++i) sum[i] = E::load(first[i]);
    for (int t = 1; t + 1 < count_of_terms; ++t) {
      const Stored* next = term(t) + begin;
      for (int64_t i = 0; i < n; ++i) sum[i] = combine<op>(sum[i], E::load(next[i]));
    }
    const Stored* last = term(count_of_terms - 1) + begin;
    for (int64_t i = 0; i < n; ++i) {
      out[begin + i] = E::store(combine<op>(sum[i], E::load(last[i])));
    }
  }
}

template <ReduceOp op, class Stored>
void reduce(const void* const* terms, int count_of_terms, int64_t offset, int64_t count,
            void* dst) {
  reduce_blocks<op, Stored>(terms, count_of_terms, offset, count, dst);
}

#if defined(__x86_64__)
// The same arithmetic in wider vectors: the same bits, as no operations are fused.
template <ReduceOp op, class Stored>
__attribute__((target("avx2"))) void reduce_avx2(const void* const* terms, int count_of_terms,
                                                 int64_t offset, int64_t count, void* dst) {
  reduce_blocks<op, Stored>(terms, count_of_terms, offset, count, dst);
}
#endif

template <ReduceOp op, class Stored>
ReduceFunction widest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return reduce_avx2<op, Stored>;
#endif
  return reduce<op, Stored>;
}

template <class Stored>
ReduceFunction by_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return widest<ReduceOp::kSum, Stored>();
    case ReduceOp::kMax:
      return widest<ReduceOp::kMax, Stored>();
    case ReduceOp::kMin:
      return widest<ReduceOp::kMin, Stored>();
    case ReduceOp::kProd:
      return widest<ReduceOp::kProd, Stored>();
  }
  internal_error("no such reduction", __FILE__, __LINE__);
}

}  // namespace

const char* to_string(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return "sum";
    case ReduceOp::kMax:
      return "max";
    case ReduceOp::kMin:
      return "min";
    case ReduceOp::kProd:
      return "prod";
  }
  return "unknown";
}

ReduceFunction reduce_function(DType type, ReduceOp op) {
  switch (type) {
    case DType::kFloat32:
      return by_op<float>(op);
    case DType::kFloat16:
      return by_op<Half>(op);
    case DType::kBFloat16:
      return by_op<BFloat16>(op);
    case DType::kFloat64:
      return by_op<double>(op);
    case DType::kInt8:
      return by_op<int8_t>(op);
    case DType::kInt16:
      return by_op<int16_t>(op);
    case DType::kInt32:
      return by_op<int32_t>(op);
    case DType::kInt64:
      return by_op<int64_t>(op);
    case DType::kUInt8:
      return by_op<uint8_t>(op);
    case DType::kUInt16:
      return by_op<uint16_t>(op);
    case DType::kUInt32:
      return by_op<uint32_t>(op);
    case DType::kUInt64:
      return by_op<uint64_t>(op);
    case DType::kBool:
      // Booleans are bytes 0 and 1: "or" is their maximum, "and" their minimum.
      return by_op<uint8_t>(op == ReduceOp::kSum || op == ReduceOp::kMax ? ReduceOp::kMax
                                                                         : ReduceOp::kMin);
  }
  internal_error("no such element type", __FILE__, __LINE__);
}

}  // namespace cleave
