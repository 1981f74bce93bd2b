// Convolutions by cuDNN. Of its algorithms only those that add up the products as they are, in
// float32 at least: no TF32 unless the problem allows it, no transforms, the same bits in every
// run.
#include "ops/conv/cuda_cudnn.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "backend/cuda/cudnn.h"
#include "backend/cuda/pieces.h"
#include "ops/conv/cuda_plain.h"
#include "ops/conv/cuda_stages.h"

namespace cleave::backend {
namespace {

using Filter =
    CudnnOwned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Convolution = CudnnOwned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                               cudnnDestroyConvolutionDescriptor>;

cudnnDataType_t data_type(DType type) {
  switch (type) {
    case DType::kFloat16:
      return CUDNN_DATA_HALF;
    case DType::kBFloat16:
      return CUDNN_DATA_BFLOAT16;
    case DType::kFloat64:
      return CUDNN_DATA_DOUBLE;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

std::vector<int> ints(const std::vector<int64_t>& from) { return {from.begin(), from.end()}; }

class PreparedCudnn final : public PreparedKernel {
 public:
  PreparedCudnn(const KernelProblem& problem, KernelCache& cache)
      : is_double_(problem.inputs[0].dtype == DType::kFloat64) {
    const CudnnImage image = image_of(problem);
    const bool pads = needs_copy(problem, image);
    stages_.emplace(problem, cache, pads, /*chains=*/true);
    handle_ = cudnn_of(cuda_device(cache));
    if (!describe(problem, image, pads) || !choose(stages_->most_algorithm_bytes())) {
      plain_ = prepare_plain_conv(problem, cuda_device(cache), stages_->views().format);
    }
  }

  int64_t workspace_bytes() const override {
    return stages_->workspace_bytes() + (plain_ ? plain_->workspace_bytes : algorithm_bytes_);
  }
  bool reads_input(size_t input) const override { return stages_->reads_input(input); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    if (plain_) return stages_->run_instead(*plain_, inputs, outputs, launch);
    const ConvStages::Operands operands = stages_->before(inputs, outputs, launch);
    const double one = 1;
    const double zero = 0;
    const float one_f = 1;
    const float zero_f = 0;
    const auto scalar = [&](const double& wide, const float& narrow) {
      return is_double_ ? static_cast<const void*>(&wide) : static_cast<const void*>(&narrow);
    };
    cudnn_check(cudnnSetStream(handle_, static_cast<cudaStream_t>(launch.stream.native)),
                "choosing a stream");
    cudnn_check(cudnnConvolutionForward(handle_, scalar(one, one_f), x_.get(), operands.x, w_.get(),
                                        operands.w, convolution_.get(), algorithm_,
                                        operands.workspace, static_cast<size_t>(algorithm_bytes_),
                                        scalar(zero, zero_f), y_.get(), operands.y),
                "convolving");
    stages_->after(operands, inputs, outputs, launch);
  }

 private:
  // False where cuDNN does not take such sizes.
  bool describe(const KernelProblem& problem, const CudnnImage& image, bool pads) {
    const cudnnDataType_t type = data_type(problem.inputs[0].dtype);
    bool is_taken = true;
    const auto take = [&](cudnnStatus_t status) {
      is_taken = is_taken && status == CUDNN_STATUS_SUCCESS;
    };
    const auto set_tensor = [&](const CudnnTensor& tensor, const TensorView& view) {
      const std::vector<int> dims = ints(view.shape);
      const std::vector<int> strides = ints(view.strides);
      take(cudnnSetTensorNdDescriptor(tensor.get(), type, static_cast<int>(dims.size()),
                                      dims.data(), strides.data()));
    };
    set_tensor(x_, stages_->views().x);
    set_tensor(y_, stages_->views().y);
    const std::vector<int> filter = ints(stages_->views().w.shape);
    const cudnnTensorFormat_t format =
        stages_->views().format == Format::kChannelsLast ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
    take(cudnnSetFilterNdDescriptor(w_.get(), type, format, static_cast<int>(filter.size()),
                                    filter.data()));
    std::vector<int> pads_before, strides, dilations;
    for (const WindowAxis& axis : image.axes()) {
      pads_before.push_back(pads ? 0 : static_cast<int>(axis.low));
      strides.push_back(static_cast<int>(axis.stride));
      dilations.push_back(static_cast<int>(axis.dilation));
    }
    take(cudnnSetConvolutionNdDescriptor(convolution_.get(), static_cast<int>(strides.size()),
                                         pads_before.data(), strides.data(), dilations.data(),
                                         CUDNN_CROSS_CORRELATION,
                                         is_double_ ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT));
    const auto groups = static_cast<int>(problem.attributes.integer("groups"));
    take(cudnnSetConvolutionGroupCount(convolution_.get(), groups));
    // By default operands may be rounded to TF32.
    const bool tf32 = problem.attributes.integer("tf32", 0) != 0;
    const cudnnMathType_t math = is_double_ || (type == CUDNN_DATA_FLOAT && tf32)
                                     ? CUDNN_DEFAULT_MATH
                                 : type == CUDNN_DATA_FLOAT ? CUDNN_FMA_MATH
                                                            : CUDNN_TENSOR_OP_MATH;
    take(cudnnSetConvolutionMathType(convolution_.get(), math));
    return is_taken;
  }

  // The algorithm that cuDNN thinks best of those that may be used; false where there is none.
  bool choose(int64_t most_bytes) {
    std::array<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> found;
    int count = 0;
    const cudnnStatus_t status = cudnnGetConvolutionForwardAlgorithm_v7(
        handle_, x_.get(), w_.get(), convolution_.get(), y_.get(), static_cast<int>(found.size()),
        &count, found.data());
    std::vector<cudnnConvolutionFwdAlgo_t> candidates;
    for (int i = 0; status == CUDNN_STATUS_SUCCESS && i < count; ++i) {
      const auto& one = found[static_cast<size_t>(i)];
      if (one.status == CUDNN_STATUS_SUCCESS) candidates.push_back(one.algo);
    }
    candidates.push_back(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
    candidates.push_back(CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM);
    for (const cudnnConvolutionFwdAlgo_t candidate : candidates) {
      if (candidate != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM &&
          candidate != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM) {
        continue;
      }
      size_t bytes = 0;
      if (cudnnGetConvolutionForwardWorkspaceSize(handle_, x_.get(), w_.get(), convolution_.get(),
                                                  y_.get(), candidate,
                                                  &bytes) != CUDNN_STATUS_SUCCESS ||
          static_cast<int64_t>(bytes) > most_bytes) {
        continue;
      }
      algorithm_ = candidate;
      algorithm_bytes_ = static_cast<int64_t>(bytes);
      return true;
    }
    return false;
  }

  cudnnHandle_t handle_ = nullptr;
  bool is_double_;
  std::optional<CudaRun> plain_;  // where cuDNN has no algorithm
  std::optional<ConvStages> stages_;
  CudnnTensor x_;
  CudnnTensor y_;
  Filter w_;
  Convolution convolution_;
  cudnnConvolutionFwdAlgo_t algorithm_ = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
  int64_t algorithm_bytes_ = 0;
};

class CudnnConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.cudnn"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    return refuse_cudnn_conv(problem);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return prepare_cudnn_conv(problem, cache);
  }
};

}  // namespace

std::optional<std::string> refuse_cudnn_conv(const KernelProblem& problem) {
  if (auto reason = refuse_plain_conv(problem)) return reason;
  return ConvStages::refuses(problem);
}

std::unique_ptr<PreparedKernel> prepare_cudnn_conv(const KernelProblem& problem,
                                                   KernelCache& cache) {
  return std::make_unique<PreparedCudnn>(problem, cache);
}

std::vector<std::shared_ptr<const Kernel>> make_conv_cuda_cudnn() {
  return {std::make_shared<CudnnConv>()};
}

}  // namespace cleave::backend
