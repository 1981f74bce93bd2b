// Convolutions by cuDNN. Of its algorithms only those that add up the products as they are, in
// float32 at least: no TF32, no transforms, the same bits in every run.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "backend/cuda/cudnn.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/space.h"
#include "ops/conv/cuda_plain.h"
#include "ops/conv/kernel_problem.h"
#include "ops/pad/cuda_pad.h"

namespace cleave::backend {
namespace {

using Filter =
    CudnnOwned<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using Convolution = CudnnOwned<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                               cudnnDestroyConvolutionDescriptor>;

constexpr int64_t kAlignment = 256;

int64_t bytes_of(const TensorView& view) {
  return view.elements() * static_cast<int64_t>(size_of(view.dtype));
}

// As capabilities_cuda.cc has it.
int64_t most_workspace(const KernelProblem& problem) {
  const int64_t bytes =
      bytes_of(problem.inputs[0]) + bytes_of(problem.inputs[1]) + bytes_of(problem.outputs[0]);
  return std::min(int64_t{256} << 20, (int64_t{16} << 20) + bytes * 3);
}

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

// The operand as cuDNN sees it: with as much padding at the end of each dimension as at its begin,
// or, where that makes another number of results, padded beforehand.
struct Padding {
  std::vector<WindowAxis> axes;  // of the image: two or three
  bool is_even = true;

  explicit Padding(const KernelProblem& problem) {
    const ConvProblem conv(problem);
    const bool is_volume = problem.inputs[0].rank() == 5;
    axes.assign(conv.axes.begin() + (is_volume ? 0 : 1), conv.axes.end());
    for (const WindowAxis& axis : axes) {
      const int64_t room = axis.in + 2 * axis.low - reach(axis);
      is_even = is_even && axis.low >= 0 && room >= 0 && room / axis.stride + 1 == axis.out;
    }
  }

  static int64_t reach(const WindowAxis& axis) { return (axis.kernel - 1) * axis.dilation + 1; }
  // Of the operand that cuDNN reads.
  int64_t extent(size_t d) const {
    return is_even ? axes[d].in : (axes[d].out - 1) * axes[d].stride + reach(axes[d]);
  }
  std::vector<int64_t> operand_shape(const KernelProblem& problem) const {
    std::vector<int64_t> shape = {problem.inputs[0].shape[0], problem.inputs[0].shape[1]};
    for (size_t d = 0; d < axes.size(); ++d) shape.push_back(extent(d));
    return shape;
  }
  int64_t copy_bytes(const KernelProblem& problem) const {
    if (is_even) return 0;
    const int64_t bytes =
        bytes_of(TensorView::dense(problem.inputs[0].dtype, operand_shape(problem)));
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
};

std::vector<int> ints(const std::vector<int64_t>& from) { return {from.begin(), from.end()}; }

class PreparedCudnn final : public PreparedKernel {
 public:
  PreparedCudnn(const KernelProblem& problem, CudaDevice& device)
      : handle_(cudnn_of(device)), is_double_(problem.inputs[0].dtype == DType::kFloat64) {
    const Padding padding(problem);
    copy_bytes_ = padding.copy_bytes(problem);
    plain_ = prepare_plain_conv(problem, device);
    is_chosen_ = describe(problem, padding) && choose(most_workspace(problem) - copy_bytes_);
    if (is_chosen_ && !padding.is_even) pad_ = pad_work(problem, padding, device);
  }

  int64_t workspace_bytes() const override {
    return is_chosen_ ? copy_bytes_ + algorithm_bytes_ : 0;
  }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const bool fits = are_aligned({inputs[0], inputs[1], outputs[0]}, kMostPieceBytes);
    if (!is_chosen_ || !fits) {
      plain_.run(inputs, outputs, launch);
      return;
    }
    const void* x = inputs[0];
    if (pad_.run) {
      void* const copy = launch.workspace;
      pad_.run(inputs.first(1), {&copy, 1}, launch);
      x = copy;
    }
    const double one = 1;
    const double zero = 0;
    const float one_f = 1;
    const float zero_f = 0;
    const auto scalar = [&](const double& wide, const float& narrow) {
      return is_double_ ? static_cast<const void*>(&wide) : static_cast<const void*>(&narrow);
    };
    cudnn_check(cudnnSetStream(handle_, static_cast<cudaStream_t>(launch.stream.native)),
                "choosing a stream");
    cudnn_check(
        cudnnConvolutionForward(handle_, scalar(one, one_f), x_.get(), x, w_.get(), inputs[1],
                                convolution_.get(), algorithm_, launch.workspace + copy_bytes_,
                                static_cast<size_t>(algorithm_bytes_), scalar(zero, zero_f),
                                y_.get(), outputs[0]),
        "convolving");
  }

 private:
  // False where cuDNN does not take such sizes.
  bool describe(const KernelProblem& problem, const Padding& padding) {
    const cudnnDataType_t type = data_type(problem.inputs[0].dtype);
    bool is_taken = true;
    const auto take = [&](cudnnStatus_t status) {
      is_taken = is_taken && status == CUDNN_STATUS_SUCCESS;
    };
    // One dimension is two, of which the first has an extent of 1.
    const auto with_image = [&](const TensorView& view, auto&& extent) {
      std::vector<int64_t> shape = {view.shape[0], view.shape[1]};
      for (const WindowAxis& axis : padding.axes) shape.push_back(extent(axis));
      return shape;
    };
    const auto set_tensor = [&](const CudnnTensor& tensor, const std::vector<int64_t>& shape) {
      const std::vector<int> dims = ints(shape);
      const std::vector<int> strides = ints(TensorView::dense(DType::kFloat32, shape).strides);
      take(cudnnSetTensorNdDescriptor(tensor.get(), type, static_cast<int>(dims.size()),
                                      dims.data(), strides.data()));
    };
    set_tensor(x_, padding.operand_shape(problem));
    set_tensor(y_, with_image(problem.outputs[0], [](const WindowAxis& a) { return a.out; }));
    const std::vector<int> filter =
        ints(with_image(problem.inputs[1], [](const WindowAxis& a) { return a.kernel; }));
    take(cudnnSetFilterNdDescriptor(w_.get(), type, CUDNN_TENSOR_NCHW,
                                    static_cast<int>(filter.size()), filter.data()));
    std::vector<int> pads, strides, dilations;
    for (const WindowAxis& axis : padding.axes) {
      pads.push_back(padding.is_even ? static_cast<int>(axis.low) : 0);
      strides.push_back(static_cast<int>(axis.stride));
      dilations.push_back(static_cast<int>(axis.dilation));
    }
    take(cudnnSetConvolutionNdDescriptor(convolution_.get(), static_cast<int>(pads.size()),
                                         pads.data(), strides.data(), dilations.data(),
                                         CUDNN_CROSS_CORRELATION,
                                         is_double_ ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT));
    const auto groups = static_cast<int>(problem.attributes.integer("groups"));
    take(cudnnSetConvolutionGroupCount(convolution_.get(), groups));
    // Float32 stays float32.
    const cudnnMathType_t math = is_double_                 ? CUDNN_DEFAULT_MATH
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

  static CudaRun pad_work(const KernelProblem& problem, const Padding& padding,
                          CudaDevice& device) {
    const TensorView& x = problem.inputs[0];
    std::vector<int64_t> shape = {x.shape[0], x.shape[1]};
    std::vector<Dim> low = {0, 0};
    for (const WindowAxis& axis : padding.axes) {
      shape.push_back(axis.in);
      low.emplace_back(axis.low);
    }
    const Attributes attributes = {{"low", low}};
    return prepare_pad({.op = "pad",
                        .attributes = attributes,
                        .inputs = {TensorView::dense(x.dtype, shape)},
                        .outputs = {TensorView::dense(x.dtype, padding.operand_shape(problem))}},
                       device);
  }

  cudnnHandle_t handle_;
  bool is_double_;
  CudnnTensor x_;
  CudnnTensor y_;
  Filter w_;
  Convolution convolution_;
  cudnnConvolutionFwdAlgo_t algorithm_ = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
  int64_t algorithm_bytes_ = 0;
  int64_t copy_bytes_ = 0;
  bool is_chosen_ = false;  // false: cuDNN has no algorithm
  CudaRun pad_;             // where padding is not even
  CudaRun plain_;           // also for operands that begin anywhere
};

class CudnnConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.cudnn"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_plain_conv(problem)) return reason;
    if (!is_floating(problem.inputs[0].dtype)) return "it takes floating point";
    if (problem.outputs[0].elements() == 0) return "there is nothing to do";
    if (problem.inputs[0].elements() == 0 || problem.inputs[1].elements() == 0) {
      return "there is nothing to add up";
    }
    const Padding padding(problem);
    const auto operand = TensorView::dense(DType::kFloat32, padding.operand_shape(problem));
    if (operand.elements() > kMostIndex || problem.inputs[0].elements() > kMostIndex ||
        problem.inputs[1].elements() > kMostIndex) {
      return "an operand has more than 2^31 elements";
    }
    if (padding.copy_bytes(problem) > most_workspace(problem) / 2) {
      return "the operand with its padding is larger than the workspace may be";
    }
    return std::nullopt;
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedCudnn>(problem, cuda_device(cache));
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_conv_cuda_cudnn() {
  return {std::make_shared<CudnnConv>()};
}

}  // namespace cleave::backend
