// Draw: choices of tests that are drawn at random, the same for equal seeds everywhere.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <random>
#include <vector>

namespace cleave::testing {

struct Draw {
  explicit Draw(uint64_t seed) : random(seed) {}

  int64_t uniform(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  }
  bool chance(int percent) { return uniform(1, 100) <= percent; }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[random() % values.size()];
  }
  template <class T>
  T of(const std::vector<T>& values) {
    return values[random() % values.size()];
  }

  std::mt19937_64 random;
};

}  // namespace cleave::testing
