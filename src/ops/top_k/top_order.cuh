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

__device__ inline Key key_of(W value) {
  const Key key = ordered(value);
  return kLargest ? ~key : key;
}

__device__ inline bool comes_before(Key a, uint32_t a_index, Key b, uint32_t b_index) {
  return a != b ? a < b : a_index < b_index;
}

// What elements are compared by where most of them are left out: integers are their keys, ...
struct ByKey {
  using Item = Key;
  static __device__ Item item(T element) { return key_of(widen(element)); }
  static __device__ Item item_of_key(Key key) { return key; }
  static __device__ Key key(Item item) { return item; }
  static __device__ bool precedes(Item a, Item b) { return a < b; }
};
// ... floating numbers need none. A key that is no number's becomes NaN, which precedes nothing and
// is preceded by nothing.
struct ByValue {
  using Item = W;
  static __device__ Item item(T element) { return widen(element); }
  static __device__ Item item_of_key(Key key) {
    constexpr Key kSign = Key(1) << (sizeof(Key) * 8 - 1);
    if (kLargest) key = ~key;
    const Key bits = key & kSign ? key ^ kSign : ~key;
    if constexpr (sizeof(Key) == 8) {
      return W(__longlong_as_double(bits));
    } else {
      return W(__uint_as_float(bits));
    }
  }
  static __device__ Key key(Item item) { return key_of(item); }
  static __device__ bool precedes(Item a, Item b) { return kLargest ? a > b : a < b; }
};
