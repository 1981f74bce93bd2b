// Checks kernels on many problems, drawn at random: each with every algorithm that tuning chooses
// from.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/draw.h"
#include "tests/support/kernel_harness.h"
#include "types/fused.h"

namespace cleave::backend {

using cleave::testing::Draw;

// Calls `check(seed)` for so many seeds on the CPU, or on other devices, whose libraries compile
// much: others in each repetition of a test that keeps `next` (--gtest_repeat=100).
template <class Check>
void for_seeds(unsigned& next, unsigned on_cpu, unsigned elsewhere, const Check& check) {
  const unsigned end = next + (test_backend().name() == "cpu" ? on_cpu : elsewhere);
  for (; next < end; ++next) {
    SCOPED_TRACE("seed " + std::to_string(next));
    check(next);
  }
}

// The algorithms that tuning chooses from for the case's kernel, and the one it has untuned, "".
inline std::vector<std::string> algorithms_of(const KernelCase& test, KernelCache& cache) {
  const KernelRegistry registry = test_backend().kernels();
  const CaseOperands operands(test);
  const Kernel* kernel = kernel_named(registry, test);
  std::vector<std::string> names;
  if (kernel != nullptr) names = kernel->algorithms(operands.problem, cache);
  names.emplace_back();
  return names;
}

// Runs many cases on one device, which takes long to make. Their operands are no weights.
class KernelChecks {
 public:
  // Every algorithm of every kernel that takes the case, within the type's tolerance.
  void every_algorithm(KernelCase test, const HostTensor& expected) {
    for (const std::string& kernel : kernels_of(test)) {
      test.kernel = kernel;
      for (const std::string& algorithm : algorithms_of(test, cache_)) {
        SCOPED_TRACE(kernel + " " + algorithm);
        test.algorithm = algorithm;
        expect_near(run_case(test, *device_, cache_)[0], expected, tolerance_of(expected.dtype));
      }
      test.algorithm.clear();
    }
  }

 private:
  const std::unique_ptr<Device> device_ = test_backend().make_device({.threads = 2});
  KernelCache cache_{*device_};
};

// A few whole numbers in any type: sums of them are exact, or an element that is not the right one
// is far off.
inline HostTensor whole_numbers(DType type, std::vector<int64_t> shape, unsigned seed) {
  const HostTensor whole = random_tensor(DType::kInt8, std::move(shape), seed, -2, 3);
  HostTensor tensor(type, whole.shape);
  for (int64_t i = 0; i < whole.elements(); ++i) tensor.set(i, whole.get(i));
  return tensor;
}

// The case followed by relu(its result + bias) + residual, and what that makes of `expected`. The
// bias is broadcast, as in ONNX where both have as many dimensions.
inline void add_chain(KernelCase& test, const HostTensor& bias, const HostTensor& residual,
                      HostTensor& expected) {
  const std::vector<int64_t>& y = expected.shape;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    int64_t at = 0;
    int64_t left = i;
    int64_t stride = 1;
    for (size_t d = y.size(); d-- > 0;) {
      if (bias.shape[d] != 1) {
        at += left % y[d] * stride;
        stride *= bias.shape[d];
      }
      left /= y[d];
    }
    expected.set(i, std::max(0.0, expected.get(i) + bias.get(at)) + residual.get(i));
  }
  const DType type = expected.dtype;
  FusedProgram{.inputs = 3,
               .steps = {{.op = "add", .args = {0, 1}, .type = type},
                         {.op = "relu", .args = {3}, .type = type},
                         {.op = "add", .args = {4, 2}, .type = type}},
               .outputs = {5}}
      .to_attributes(test.attributes, kEpiloguePrefix);
  test.inputs.push_back(&bias);
  test.inputs.push_back(&residual);
}

}  // namespace cleave::backend
