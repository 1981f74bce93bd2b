// The algorithms that tuning chooses from: every one multiplies, and its name is its own.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backend/builtin_kernels.h"
#include "backend/cuda/cuda_device.h"
#include "backend/kernel.h"
#include "base/half.h"
#include "tests/cuda/gpus.h"
#include "types/fused.h"

namespace cleave::backend {
namespace {

std::unique_ptr<CudaDevice> first_gpu() {
  cudaDeviceProp properties = {};
  conformance::require(cudaGetDeviceProperties(&properties, 0));
  auto modules =
      std::make_shared<Modules>(properties.major * 10 + properties.minor, module_cache_folder());
  return make_cuda_device({.index = 0}, std::move(modules));
}

// Whole numbers, so that every order of additions gives the same float32.
struct Product {
  static constexpr int64_t kM = 48;
  static constexpr int64_t kK = 512;
  static constexpr int64_t kN = 96;

  Product() : a(kM * kK), b(kK * kN), y(kM * kN) {
    for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i * 7 % 5) - 2;
    for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i * 11 % 7) - 3;
    for (size_t i = 0; i < y.size(); ++i) {
      for (size_t k = 0; k < kK; ++k) y[i] += a[i / kN * kK + k] * b[k * kN + i % kN];
    }
  }
  KernelProblem problem(std::string algorithm = "") const {
    return {.op = "matmul",
            .attributes = attributes,
            .inputs = {TensorView::dense(DType::kFloat32, {kM, kK}),
                       TensorView::dense(DType::kFloat32, {kK, kN})},
            .outputs = {TensorView::dense(DType::kFloat32, {kM, kN})},
            .algorithm = std::move(algorithm)};
  }

  const Attributes attributes;
  std::vector<float> a, b, y;
};

class MatmulAlgorithms : public ::testing::Test {
 protected:
  void SetUp() override {
    if (conformance::gpus() == 0) GTEST_SKIP() << "there is no GPU";
    device_ = first_gpu();
    cache_ = std::make_unique<KernelCache>(*device_);
  }
  template <class T>
  Buffer upload(const std::vector<T>& values) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    Buffer buffer = device_->allocate(bytes, "an operand");
    device_->copy_to_device(buffer.data(), values.data(), bytes, device_->default_stream());
    return buffer;
  }
  std::vector<float> run(const PreparedKernel& prepared) { return run(prepared, product_); }
  std::vector<float> run(const PreparedKernel& prepared, const Product& product) {
    const StreamHandle stream = device_->default_stream();
    const Buffer a = upload(product.a);
    const Buffer b = upload(product.b);
    const Buffer y = upload(std::vector<float>(product_.y.size(), NAN));
    const Buffer workspace = device_->allocate(prepared.workspace_bytes(), "a workspace");
    const std::vector<const void*> inputs = {a.data(), b.data()};
    const std::vector<void*> outputs = {y.data()};
    prepared.run(inputs, outputs, {workspace.data(), device_->pool(), stream});
    std::vector<float> result(product_.y.size());
    device_->copy_to_host(result.data(), y.data(), y.bytes(), stream);
    device_->synchronize(stream);
    return result;
  }

  const KernelRegistry kernels_ = builtin_cuda_kernels();
  const Product product_;
  std::unique_ptr<CudaDevice> device_;
  std::unique_ptr<KernelCache> cache_;
};

TEST_F(MatmulAlgorithms, AllMultiply) {
  const Kernel& kernel = kernels_.at(product_.problem());
  const std::vector<std::string> names = kernel.algorithms(product_.problem(), *cache_);
  EXPECT_GT(names.size(), 1u);
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const auto prepared = kernel.prepare(product_.problem(name), *cache_);
    EXPECT_EQ(prepared->algorithm(), name);
    EXPECT_EQ(run(*prepared), product_.y);
  }
}

// TF32 has ten bits behind the point.
TEST_F(MatmulAlgorithms, RoundOperandsToTf32WhereTheyMay) {
  Product fine;
  std::fill(fine.a.begin(), fine.a.end(), 1 + std::ldexp(1.0F, -13));
  std::fill(fine.b.begin(), fine.b.end(), 1.0F);
  const double exact = Product::kK * (1 + std::ldexp(1.0, -13));
  for (const bool tf32 : {false, true}) {
    SCOPED_TRACE(tf32);
    const Attributes attributes = {{"tf32", Dim(tf32 ? 1 : 0)}};
    const KernelProblem problem{.op = "matmul",
                                .attributes = attributes,
                                .inputs = fine.problem().inputs,
                                .outputs = fine.problem().outputs};
    const auto prepared = kernels_.at(problem).prepare(problem, *cache_);
    const std::vector<float> result = run(*prepared, fine);
    EXPECT_NEAR(result[0], exact, tf32 ? 0.1 : 1e-3);
    EXPECT_EQ(std::fabs(result[0] - exact) > 1e-3, tf32) << result[0];
  }
}

// Of sizes for which some divide the sums among several blocks.
TEST_F(MatmulAlgorithms, GiveTheSameBitsInEveryRun) {
  constexpr int64_t kM = 192;
  constexpr int64_t kK = 4096;
  constexpr int64_t kN = 320;
  std::vector<float> a(kM * kK);
  std::vector<float> b(kK * kN);
  std::mt19937 random(5);
  std::normal_distribution<float> values;
  for (std::vector<float>* operand : {&a, &b}) {
    for (float& value : *operand) value = values(random);
  }
  const Buffer on_a = upload(a);
  const Buffer on_b = upload(b);
  const Buffer y = device_->allocate(kM * kN * 4, "a result");
  const StreamHandle stream = device_->default_stream();
  // Read as half precision, the same bytes are numbers too.
  for (const auto& [type, tf32] :
       {std::pair{DType::kFloat32, 0}, {DType::kFloat32, 1}, {DType::kBFloat16, 0}}) {
    const Attributes attributes = {{"tf32", Dim(tf32)}};
    KernelProblem problem{
        .op = "matmul",
        .attributes = attributes,
        .inputs = {TensorView::dense(type, {kM, kK}), TensorView::dense(type, {kK, kN})},
        .outputs = {TensorView::dense(type, {kM, kN})}};
    const Kernel& kernel = kernels_.at(problem);
    for (const std::string& name : kernel.algorithms(problem, *cache_)) {
      SCOPED_TRACE(name);
      problem.algorithm = name;
      const auto prepared = kernel.prepare(problem, *cache_);
      const Buffer workspace = device_->allocate(prepared->workspace_bytes(), "a workspace");
      std::vector<std::byte> first;
      for (int run = 0; run < 20; ++run) {
        const std::vector<const void*> inputs = {on_a.data(), on_b.data()};
        const std::vector<void*> outputs = {y.data()};
        prepared->run(inputs, outputs, {workspace.data(), device_->pool(), stream});
        std::vector<std::byte> result(static_cast<size_t>(y.bytes()));
        device_->copy_to_host(result.data(), y.data(), y.bytes(), stream);
        device_->synchronize(stream);
        if (run == 0) first = result;
        ASSERT_TRUE(result == first) << "run " << run;
      }
    }
  }
}

TEST_F(MatmulAlgorithms, OneThatIsNotKnownIsPassedOver) {
  const Kernel& kernel = kernels_.at(product_.problem());
  for (const char* name : {"", "of another version"}) {
    const auto prepared = kernel.prepare(product_.problem(name), *cache_);
    EXPECT_EQ(prepared->algorithm(), "");
    EXPECT_EQ(run(*prepared), product_.y);
  }
}

// As a part of a larger bias may.
TEST_F(MatmulAlgorithms, TakeABiasThatBeginsAnywhere) {
  constexpr int64_t kM = 32;
  constexpr int64_t kK = 64;
  constexpr int64_t kN = 128;
  std::vector<Half> a(kM * kK, Half(0.5F));
  std::vector<Half> b(kK * kN, Half(0.25F));
  std::vector<Half> bias(kN + 8);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = Half(static_cast<float>(i));
  TensorView row = TensorView::dense(DType::kFloat16, {kM, kN});
  row.strides[0] = 0;
  Attributes attributes;
  FusedProgram{.inputs = 2,
               .steps = {{.op = "add", .args = {0, 1}, .type = DType::kFloat16}},
               .outputs = {2}}
      .to_attributes(attributes, "epilogue_");
  const KernelProblem problem{.op = "matmul",
                              .attributes = attributes,
                              .inputs = {TensorView::dense(DType::kFloat16, {kM, kK}),
                                         TensorView::dense(DType::kFloat16, {kK, kN}), row},
                              .outputs = {TensorView::dense(DType::kFloat16, {kM, kN})}};
  const Kernel& kernel = kernels_.at(problem);
  EXPECT_EQ(kernel.name(), "matmul.cublas");
  const auto prepared = kernel.prepare(problem, *cache_);
  const StreamHandle stream = device_->default_stream();
  const Buffer on_a = upload(a);
  const Buffer on_b = upload(b);
  const Buffer on_bias = upload(bias);
  const Buffer y = device_->allocate(kM * kN * 2, "a result");
  const Buffer workspace = device_->allocate(prepared->workspace_bytes(), "a workspace");
  for (size_t shift = 0; shift < 8; ++shift) {
    SCOPED_TRACE(shift);
    const std::vector<const void*> inputs = {on_a.data(), on_b.data(), on_bias.data() + 2 * shift};
    const std::vector<void*> outputs = {y.data()};
    prepared->run(inputs, outputs, {workspace.data(), device_->pool(), stream});
    std::vector<Half> result(kM * kN);
    device_->copy_to_host(result.data(), y.data(), y.bytes(), stream);
    device_->synchronize(stream);
    for (size_t i = 0; i < result.size(); ++i) {
      ASSERT_EQ(static_cast<float>(result[i]), 8 + static_cast<float>(i % kN + shift)) << i;
    }
  }
}

TEST_F(MatmulAlgorithms, AreTheSameOnAnotherDeviceOfTheKind) {
  const Kernel& kernel = kernels_.at(product_.problem());
  const auto other = first_gpu();
  KernelCache others(*other);
  EXPECT_EQ(kernel.algorithms(product_.problem(), *cache_),
            kernel.algorithms(product_.problem(), others));
}

}  // namespace
}  // namespace cleave::backend
