// Matrix products on GPUs: cuBLASLt, with the chain behind a product where it has it, and a plain
// kernel for what it does not take.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cublas.h"
#include "backend/cuda/device_sources.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "ops/matmul/cuda_chain.h"
#include "ops/matmul/cuda_product.h"
#include "ops/matmul/kernel_layout.h"

namespace cleave::backend {
namespace {

// Operands that begin at any multiple of 16 bytes, as nearly all do, or anywhere.
constexpr uint32_t kAligned = 16;

constexpr int kMostAlgorithms = 16;  // to choose from by tuning

// All with their names: first what is used unless another is asked for.
std::vector<std::pair<std::string, cublasLtMatmulAlgo_t>> named_algorithms(
    const CublasProduct& product, cublasLtHandle_t handle) {
  std::vector<std::pair<std::string, cublasLtMatmulAlgo_t>> named;
  for (const int most : {1, kMostAlgorithms}) {
    for (const cublasLtMatmulAlgo_t& algorithm : product.algorithms(handle, kAligned, most)) {
      std::string name = name_of(algorithm);
      const auto is_it = [&](const auto& other) { return other.first == name; };
      if (std::none_of(named.begin(), named.end(), is_it)) {
        named.emplace_back(std::move(name), algorithm);
      }
    }
  }
  return named;
}

CublasProduct product_of(const CublasPlan& plan, const KernelProblem& problem) {
  return CublasProduct(plan, problem.inputs[0].dtype, problem.attributes.integer("tf32", 0) != 0);
}

class PreparedCublas final : public PreparedKernel {
 public:
  PreparedCublas(const CublasPlan& plan, const KernelProblem& problem, CudaDevice& device)
      : plan_(plan),
        size_(static_cast<int64_t>(size_of(problem.inputs[0].dtype))),
        product_(product_of(plan, problem)),
        handle_(cublas_of(device)),
        aligned_(best(kAligned)),
        unaligned_(best(static_cast<uint32_t>(size_))) {
    if (problem.algorithm.empty()) return;
    for (const auto& [name, algorithm] : named_algorithms(product_, handle_)) {
      if (name != problem.algorithm) continue;
      aligned_ = algorithm;
      algorithm_ = name;
    }
  }

  // False where cuBLASLt has no algorithm: then it cannot be run.
  bool is_possible() const { return aligned_ && unaligned_; }
  int64_t workspace_bytes() const override { return kCublasWorkspaceBytes; }
  std::string_view algorithm() const override { return algorithm_; }
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const CublasEpilogue& epilogue = plan_.epilogue;
    const size_t y = plan_.outer_space.strides.size() - 1;
    for (int64_t i = 0; i < plan_.outer; ++i) {
      const auto at = [&](size_t input) {
        return static_cast<const std::byte*>(inputs[input]) + offset(input, i);
      };
      const CublasProduct::Operands operands = {
          .a = at(0),
          .b = at(1),
          .bias = epilogue.bias ? inputs[*epilogue.bias] : nullptr,
          .c = epilogue.matrix ? at(*epilogue.matrix) : nullptr,
          .y = static_cast<std::byte*>(outputs[0]) + offset(y, i)};
      uintptr_t bits = 0;
      for (const void* operand : {operands.a, operands.b, operands.bias, operands.c,
                                  static_cast<const void*>(operands.y)}) {
        bits |= reinterpret_cast<uintptr_t>(operand);
      }
      product_.run(handle_, bits % kAligned == 0 ? *aligned_ : *unaligned_, operands,
                   launch.workspace, launch.stream);
    }
  }

 private:
  std::optional<cublasLtMatmulAlgo_t> best(uint32_t alignment) const {
    const auto found = product_.algorithms(handle_, alignment, 1);
    if (found.empty()) return std::nullopt;
    return found.front();
  }
  int64_t offset(size_t operand, int64_t i) const {
    return plan_.outer_space.offset(operand, i) * size_;
  }

  CublasPlan plan_;
  int64_t size_;
  CublasProduct product_;
  cublasLtHandle_t handle_;
  std::string algorithm_;  // that was asked for
  std::optional<cublasLtMatmulAlgo_t> aligned_;
  std::optional<cublasLtMatmulAlgo_t> unaligned_;
};

std::optional<std::string> refuse_shapes(const KernelProblem& problem) {
  if (auto reason = MatmulLayout::refuses(problem)) return reason;
  if (problem.outputs.size() != 1) return "it has one result";
  for (const TensorView* view : {&problem.inputs[1], &problem.outputs[0]}) {
    if (view->dtype != problem.inputs[0].dtype) return "its types differ";
  }
  return std::nullopt;
}

// Precondition: the problem's shapes and epilogue are not refused.
std::optional<CublasPlan> plan_of(const KernelProblem& problem) {
  return CublasPlan::of(MatmulLayout(problem), CublasEpilogue::of(problem));
}

class CublasMatmul final : public Kernel {
 public:
  // `chain` takes the problems for which cuBLASLt turns out to have no algorithm with the chain.
  explicit CublasMatmul(std::shared_ptr<const Kernel> chain = nullptr) : chain_(std::move(chain)) {}

  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.cublas"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_shapes(problem)) return reason;
    const DType type = problem.inputs[0].dtype;
    if (type != DType::kFloat32 && type != DType::kFloat16 && type != DType::kBFloat16 &&
        type != DType::kFloat64) {
      return "it takes floating point";
    }
    if (auto reason = CublasEpilogue::refuses(problem)) return reason;
    const MatmulLayout layout(problem);
    if (layout.k == 0) return "there is nothing to add up";
    if (layout.rows.elements * layout.n * layout.batches == 0) return "there is nothing to do";
    if (!plan_of(problem)) return "its operands have gaps in both dimensions";
    return std::nullopt;
  }
  std::vector<std::string> algorithms(const KernelProblem& problem,
                                      KernelCache& cache) const override {
    const CublasProduct product = product_of(*plan_of(problem), problem);
    std::vector<std::string> names;
    for (auto& [name, algorithm] : named_algorithms(product, cublas_of(cuda_device(cache)))) {
      names.push_back(std::move(name));
    }
    return names;
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    auto prepared =
        std::make_unique<PreparedCublas>(*plan_of(problem), problem, cuda_device(cache));
    if (prepared->is_possible()) return prepared;
    if (chain_ != nullptr && !chain_->refuses(problem)) return chain_->prepare(problem, cache);
    throw Error(ErrorCode::kUnsupported, "cuBLASLt has no algorithm for a product",
                "please report it with the model");
  }

 private:
  std::shared_ptr<const Kernel> chain_;
};

// A thread for each result: right for every type and layout, and slow.
class PreparedPlain final : public PreparedKernel {
 public:
  PreparedPlain(const KernelProblem& problem, CudaDevice& device)
      : layout_(problem),
        device_(device),
        batches_(layout_.batch_space, layout_.batch_space.extents.size()),
        rows_(layout_.rows, layout_.rows.extents.size()),
        columns_(make_divisor(std::max<int64_t>(1, layout_.n))),
        row_count_(make_divisor(std::max<int64_t>(1, layout_.rows.elements))),
        kernel_(device.modules().get("using T = " + device_type(problem.inputs[0].dtype) + ";\n" +
                                         std::string(device_source("plain_matmul")),
                                     "plain_matmul")) {}

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const int64_t elements = layout_.batches * layout_.rows.elements * layout_.n;
    if (elements == 0) return;
    const size_t y = layout_.column_strides.size() - 1;
    launch_kernel(kernel_, grid_for(elements, device_), launch.stream,
                  {batches_.data(), rows_.data(), &columns_, &row_count_, &elements, &layout_.k,
                   &layout_.a_k_stride, &layout_.b_k_stride, &layout_.b_n_stride,
                   &layout_.column_strides[y], &inputs[0], &inputs[1], &outputs[0]});
  }

 private:
  MatmulLayout layout_;
  CudaDevice& device_;
  SpaceArgument batches_;
  SpaceArgument rows_;
  Divisor columns_;
  Divisor row_count_;
  cudaKernel_t kernel_;
};

class PlainMatmul final : public Kernel {
 public:
  std::string_view op() const override { return "matmul"; }
  std::string_view name() const override { return "matmul.plain"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_shapes(problem)) return reason;
    if (problem.inputs.size() != 2 || FusedProgram::is_in(problem.attributes, kEpiloguePrefix)) {
      return "it takes no epilogue";
    }
    if (problem.inputs[0].dtype == DType::kBool) return "it takes numbers";
    const MatmulLayout layout(problem);
    if (layout.batches * layout.rows.elements > kMostIndex / std::max<int64_t>(1, layout.n)) {
      return "it has more than 2^31 elements";
    }
    if (auto reason = refuse_space(layout.batch_space)) return reason;
    return refuse_space(layout.rows);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedPlain>(problem, cuda_device(cache));
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_matmul_cuda() {
  const auto plain = std::make_shared<PlainMatmul>();
  const auto chain = make_matmul_chain({std::make_shared<CublasMatmul>(), plain});
  return {std::make_shared<CublasMatmul>(chain), plain, chain};
}

}  // namespace cleave::backend
