// What the conformance suite of communicators needs to know about an implementation, and the data
// it tests with.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/half.h"
#include "comm/communicator.h"

namespace cleave::conformance {

// An implementation passes a harness type with
//   static std::vector<int> sizes();                the group sizes to test; none: all is skipped
//   static Group make_group(int size);              ends by rank, used by a thread each
// for memory that the tests read and write themselves. A communicator whose calls need a device's
// memory is put behind one that copies there and back, and waits (tests/cuda).
using Group = std::vector<std::unique_ptr<Communicator>>;

// Runs `body` for every rank in a thread of its own. A rank whose body throws aborts the group.
// Returns what each rank threw.
inline std::vector<std::exception_ptr> run_ranks(const Group& group,
                                                 const std::function<void(Communicator&)>& body) {
  std::vector<std::exception_ptr> thrown(group.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < group.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(*group[rank]);
      } catch (const Error& error) {
        thrown[rank] = std::current_exception();
        group[rank]->abort(error);
      } catch (const std::exception& error) {
        thrown[rank] = std::current_exception();
        group[rank]->abort(Error(ErrorCode::kDevice, error.what()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return thrown;
}

inline constexpr DType kAllTypes[] = {
    DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64, DType::kInt8,
    DType::kInt16,   DType::kInt32,   DType::kInt64,    DType::kUInt8,   DType::kUInt16,
    DType::kUInt32,  DType::kUInt64,  DType::kBool};
inline constexpr ReduceOp kAllOps[] = {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin,
                                       ReduceOp::kProd};

// Elements of any type, with guard elements behind them that nobody may touch.
class Buffer {
 public:
  Buffer(int64_t count, DType type) : count_(count), type_(type), bytes_(total(), kGuard) {}

  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  void* at(int64_t index) { return bytes_.data() + index * size(); }
  const void* at(int64_t index) const { return bytes_.data() + index * size(); }
  int64_t count() const { return count_; }
  DType type() const { return type_; }
  bool operator==(const Buffer& other) const { return bytes_ == other.bytes_; }  // guards too
  void set(int64_t index, const Buffer& from, int64_t from_index) {
    std::memcpy(at(index), from.at(from_index), static_cast<size_t>(size()));
  }

 private:
  static constexpr std::byte kGuard{0xa5};
  int64_t size() const { return static_cast<int64_t>(size_of(type_)); }
  size_t total() const { return static_cast<size_t>((count_ + 4) * size()); }

  int64_t count_;
  DType type_;
  std::vector<std::byte> bytes_;
};

// Calls `visit(T{})` with the C++ type of an element type.
template <class Visit>
void with_type(DType type, Visit&& visit) {
  switch (type) {
    case DType::kFloat32:
      return visit(float{});
    case DType::kFloat16:
      return visit(Half{});
    case DType::kBFloat16:
      return visit(BFloat16{});
    case DType::kFloat64:
      return visit(double{});
    case DType::kInt8:
      return visit(int8_t{});
    case DType::kInt16:
      return visit(int16_t{});
    case DType::kInt32:
      return visit(int32_t{});
    case DType::kInt64:
      return visit(int64_t{});
    case DType::kUInt8:
      return visit(uint8_t{});
    case DType::kUInt16:
      return visit(uint16_t{});
    case DType::kUInt32:
      return visit(uint32_t{});
    case DType::kUInt64:
      return visit(uint64_t{});
    case DType::kBool:
      return visit(bool{});
  }
}

// Seeded numbers: floats of many magnitudes, so that sums depend on their order; integers over
// their whole range, so that they overflow.
inline Buffer numbers(int64_t count, DType type, uint64_t seed) {
  Buffer buffer(count, type);
  std::mt19937_64 random(seed);
  with_type(type, [&]<class T>(T) {
    for (int64_t i = 0; i < count; ++i) {
      T value;
      if constexpr (std::is_same_v<T, bool>) {
        value = (random() & 1) != 0;
      } else if constexpr (std::is_integral_v<T>) {
        value = static_cast<T>(random());
      } else {
        const double magnitude = std::ldexp(1.0, static_cast<int>(random() % 12) - 6);
        const double sign = (random() & 1) != 0 ? 1.0 : -1.0;
        const double fraction = 1.0 + static_cast<double>(random() % 4096) / 4096.0;
        value = T(static_cast<float>(sign * fraction * magnitude));
      }
      std::memcpy(buffer.at(i), &value, sizeof value);
    }
  });
  return buffer;
}

// Seeded bytes: every bit pattern, signalling NaNs included.
inline Buffer bit_patterns(int64_t count, DType type, uint64_t seed) {
  Buffer buffer(count, type);
  std::mt19937_64 random(seed);
  auto* bytes = static_cast<unsigned char*>(buffer.data());
  const int64_t size = count * static_cast<int64_t>(size_of(type));
  for (int64_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(random() >> 32);
  return buffer;
}

// a op b as a reduction over ranks defines it.
template <class T>
T combined(ReduceOp op, T a, T b) {
  if constexpr (std::is_same_v<T, bool>) {
    return op == ReduceOp::kSum || op == ReduceOp::kMax ? (a || b) : (a && b);
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      const bool ordered = op == ReduceOp::kMax || op == ReduceOp::kMin;
      if (ordered && std::isnan(a)) return a;
      if (ordered && std::isnan(b)) return b;
    }
    if (op == ReduceOp::kMax) return a < b ? b : a;
    if (op == ReduceOp::kMin) return b < a ? b : a;
    if constexpr (std::is_integral_v<T>) {
      const auto x = static_cast<uint64_t>(a);
      const auto y = static_cast<uint64_t>(b);
      return static_cast<T>(op == ReduceOp::kSum ? x + y : x * y);
    } else {
      return op == ReduceOp::kSum ? a + b : a * b;
    }
  }
}

// The terms combined in the order of ranks; 16-bit floats in float32, rounded once.
inline Buffer reduced(const std::vector<Buffer>& terms, ReduceOp op) {
  Buffer result = terms.front();
  with_type(result.type(), [&]<class T>(T) {
    constexpr bool kNarrow = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
    using Accumulator = std::conditional_t<kNarrow, float, T>;
    const auto load = [](const Buffer& from, int64_t i) {
      T value;
      std::memcpy(&value, from.at(i), sizeof value);
      return static_cast<Accumulator>(value);
    };
    for (int64_t i = 0; terms.size() > 1 && i < result.count(); ++i) {
      Accumulator sum = load(terms[0], i);
      for (size_t t = 1; t < terms.size(); ++t) sum = combined(op, sum, load(terms[t], i));
      const T value = static_cast<T>(sum);
      std::memcpy(result.at(i), &value, sizeof value);
    }
  });
  return result;
}

// A reduction: each rank's term and what comes out.
struct ReduceTest {
  ReduceOp op = ReduceOp::kSum;
  std::vector<Buffer> terms;
  Buffer expected{0, DType::kFloat32};

  std::string name() const {
    return std::string(name_of(expected.type())) + " " + to_string(op) + " " +
           std::to_string(expected.count());
  }
};

inline ReduceTest reduce_test(int ranks, int64_t count, DType type, ReduceOp op) {
  ReduceTest test;
  test.op = op;
  for (int rank = 0; rank < ranks; ++rank) {
    test.terms.push_back(numbers(count, type, static_cast<uint64_t>(rank) * 1000 + 1));
  }
  test.expected = reduced(test.terms, op);
  return test;
}

}  // namespace cleave::conformance
