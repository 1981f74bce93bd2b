// What the tests of layer_norm and rms_norm share.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/ops_support/decomposition_check.h"
#include "tests/ops_support/rule_check.h"
#include "tests/ops_support/tensors.h"

namespace cleave::testing {

// The last `axes` dimensions are normalised.
inline Attributes last(int64_t axes, double epsilon = 1e-5) {
  return {{"axes", Dim(axes)}, {"epsilon", epsilon}};
}

// The squares leave float16.
inline void check_half_statistics(const std::string& op) {
  const HostTensor x = tensor(DType::kFloat16, {1, 2}, {1000, -1000});
  EXPECT_EQ(values_of(run_reference(op, last(1), {x})[0]), (std::vector<double>{1, -1}));
}

// Every rule and the decomposition, with static and dynamic sizes, with each subset of the
// `parameters` operands that follow the first (scale, bias).
inline void check_normalisation(const std::string& op, int parameters) {
  const Dim n = Dim::symbol("n");
  const Dim h = Dim::symbol("h");
  const std::set<std::string> strategies = {"d0", "d1"};
  for (const auto& [type, tolerance] : {std::pair{DType::kFloat32, 2e-6},
                                        {DType::kFloat16, 2e-3},
                                        {DType::kBFloat16, 1e-2},
                                        {DType::kFloat64, 2e-6}}) {
    for (int given = 0; given < 1 << parameters; ++given) {
      RuleCase c{op, last(2), {random_reals(type, {5, 2, 3, 4}, 1)}};
      for (int i = 0; i < parameters; ++i) {
        c.inputs.emplace_back();
        if (given >> i & 1) c.inputs.back() = random_reals(type, {3, 4}, 2 + i);
      }
      EXPECT_EQ(check_rules(c), strategies);
      c.tolerance = tolerance;
      check_decomposition(c);
      c.shapes = {{n, 2, h, 4}, {h, 4}, {h, 4}};
      c.shapes.resize(c.inputs.size());
      c.symbols = {{"n", 5}, {"h", 3}};
      c.tolerance = 0;
      EXPECT_EQ(check_rules(c), strategies);
      c.tolerance = tolerance;
      check_decomposition(c);
    }
  }
  check_rules({op, last(1), {HostTensor(DType::kFloat32, {0, 3})}});
  check_rules({op, last(1), {HostTensor(DType::kFloat32, {3, 0})}});
}

inline void check_normalisation_errors(const std::string& op) {
  const TensorType x{DType::kFloat32, {2, 3}};
  EXPECT_EQ(inference_error(op, last(3), {x}),
            "cannot normalise the last 3 dimensions of f32[2, 3]");
  EXPECT_NE(inference_error(op, last(0), {x}), "");
  EXPECT_NE(inference_error(op, last(1), {x, {DType::kFloat32, {2}}}), "");
  EXPECT_EQ(inference_error(op, last(1), {x, {DType::kFloat32, {1, 3}}}),
            "the scale of " + op +
                ", f32[1, 3] for f32[2, 3], has not the shape of the normalised dimensions");
  EXPECT_NE(inference_error(op, last(1), {x, {DType::kFloat16, {3}}}), "");
  EXPECT_NE(inference_error(op, last(1), {{DType::kInt32, {2, 3}}}), "");
  EXPECT_NE(inference_error(op, last(1, -1.0), {x}), "");
}

}  // namespace cleave::testing
