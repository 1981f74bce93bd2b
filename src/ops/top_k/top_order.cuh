// The order in which top_k takes elements (types/top_order.h): by `Key`, smallest first, of equals
// the one with the smaller index. What stands before it:
//   using T = float;
//   constexpr bool kLargest = true;  // elements first
using W = Working<T>;
using Key = typename Choose<sizeof(W) == 8, uint64_t, uint32_t>::Type;

// Bits that order numbers as integers: NaN is the largest, both zeros are one.
__device__ inline Key ordered(W value) {
  if constexpr (IsFloating<W>::value) {
    if (is_nan(value)) return Key(~Key(0));
    if (value == 0) value = 0;
    Key bits;
    if constexpr (sizeof(W) == 8) {
      bits = Key(__double_as_longlong(value));
    } else {
      bits = __float_as_uint(value);
    }
    constexpr Key kSign = Key(1) << (sizeof(Key) * 8 - 1);
    return bits & kSign ? ~bits : bits | kSign;
  } else {
    const Key bits = Key(value);
    // Signed numbers are brought above zero.
    return W(-1) < W(0) ? bits ^ (Key(1) << (sizeof(Key) * 8 - 1)) : bits;
  }
}

__device__ inline Key key_of(T element) {
  const Key key = ordered(widen(element));
  return kLargest ? ~key : key;
}

__device__ inline bool comes_before(Key a, uint32_t a_index, Key b, uint32_t b_index) {
  return a != b ? a < b : a_index < b_index;
}
