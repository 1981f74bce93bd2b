// Engines that the tests of the runtime run, with their inputs and results.
#pragma once

#include <cstdint>
#include <vector>

#include "cleave/tensor.h"
#include "program/testing.h"
#include "runtime/engine_impl.h"

namespace cleave::runtime::testing {

inline constexpr int64_t kK = 13;
inline constexpr int64_t kN = 7;

inline Engine engine_of(const program::testing::TestEngine& engine) {
  return make_engine(engine.data, engine.weights);
}

inline Tensor example_input(int64_t batch, int64_t k = kK) {
  Tensor x(DType::kFloat32, {batch, k});
  auto values = x.mutable_span<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 9) - 4;
  return x;
}

// y = x · W of the test engines.
inline std::vector<float> expected(const Tensor& x, int64_t n = kN) {
  const int64_t k = x.shape()[1];
  std::vector<float> y;
  for (int64_t i = 0; i < x.shape()[0]; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t p = 0; p < k; ++p) {
        sum +=
            x.span<float>()[static_cast<size_t>(i * k + p)] * program::testing::matrix_value(p, j);
      }
      y.push_back(sum);
    }
  }
  return y;
}

inline std::vector<float> values(const Tensor& tensor) {
  const auto span = tensor.span<float>();
  return {span.begin(), span.end()};
}

}  // namespace cleave::runtime::testing
