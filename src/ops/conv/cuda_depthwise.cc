#include "ops/conv/cuda_depthwise.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "backend/cuda/device_sources.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/simple_kernel.h"
#include "backend/cuda/source_text.h"
#include "backend/cuda/space.h"
#include "backend/cuda/strided_copy.h"
#include "base/hash.h"
#include "ops/conv/cuda_plain.h"
#include "ops/conv/kernel_problem.h"
#include "ops/elementwise/cuda_chain.h"

namespace cleave::backend {
namespace {

constexpr int64_t kMostTaps = 7;  // along the last dimension: their weights are in registers
constexpr int64_t kMostPlaces = 4;
constexpr int64_t kAlignment = 256;

// The bytes of depthwise_conv.cuh's struct.
struct DepthwiseArgument {
  WindowAxis axes[kMaxImageDims];
  int64_t channels;
  int64_t total;
  Divisor vectors, strips, high, deep;
};

// The work in vectors of so many channels.
struct Form {
  DepthwiseArgument argument = {};
  cudaKernel_t kernel = nullptr;
};

Form form_of(const ConvProblem& conv, int64_t vector, CudaDevice& device) {
  const auto& [deep, high, wide] = conv.axes;
  const int64_t places = std::min(kMostPlaces, wide.out);
  const int64_t strips = (wide.out + places - 1) / places;
  const int64_t vectors = conv.groups / vector;
  Form form;
  form.argument = {.axes = {deep, high, wide},
                   .channels = conv.groups,
                   .total = conv.images * deep.out * high.out * strips * vectors,
                   .vectors = make_divisor(vectors),
                   .strips = make_divisor(strips),
                   .high = make_divisor(high.out),
                   .deep = make_divisor(deep.out)};
  std::string source = "using T = " + device_type(conv.x_type) + ";\n";
  const auto number = [&](const char* name, int64_t value) {
    source += std::string("constexpr int ") + name + " = " + std::to_string(value) + ";\n";
  };
  number("kVector", vector);
  number("kPlaces", places);
  number("kTaps", wide.kernel);
  number("kStride", wide.stride);
  number("kDilation", wide.dilation);
  source += device_source("depthwise_conv");
  form.kernel = device.modules().get(source, "depthwise_conv");
  return form;
}

class PreparedDepthwise final : public PreparedKernel {
 public:
  PreparedDepthwise(const KernelProblem& problem, KernelCache& cache)
      : chain_(problem, cuda_device(cache)) {
    CudaDevice& device = cuda_device(cache);
    const ConvProblem conv(problem);
    const auto size = static_cast<int64_t>(size_of(conv.x_type));
    const int64_t most = piece_elements(conv.x_type, {&problem.inputs[0], &problem.outputs[0]});
    const int64_t vector = std::gcd(most, conv.groups);
    alignment_ = vector * size;
    form_ = form_of(conv, vector, device);
    make_weight(problem, cache, device);
  }

  int64_t workspace_bytes() const override { return weight_bytes_ + chain_.workspace_bytes(); }
  bool reads_input(size_t input) const override { return input != 1 || kept_weight_ == nullptr; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const void* w = launch.workspace;
    if (kept_weight_ != nullptr) {
      w = kept_weight_->data();
    } else {
      void* copy = launch.workspace;
      reorder_->run(inputs.subspan(1, 1), {&copy, 1}, launch.stream);
    }
    void* const y = chain_.result(outputs, launch.workspace + weight_bytes_);
    check_aligned({inputs[0], w, y}, alignment_);
    constexpr int kThreads = 256;
    const Grid grid{.blocks = (form_.argument.total + kThreads - 1) / kThreads,
                    .threads = kThreads};
    launch_kernel(form_.kernel, grid, launch.stream, {&form_.argument, &inputs[0], &w, &y});
    chain_.run(y, inputs, outputs, launch);
  }

 private:
  // [channel][tap] becomes [tap][channel].
  void make_weight(const KernelProblem& problem, KernelCache& cache, CudaDevice& device) {
    const TensorView& w = problem.inputs[1];
    const int64_t channels = w.shape[0];
    const int64_t taps = w.elements() / channels;
    std::vector<CopyPiece> pieces;
    const std::vector<int64_t> shape = {channels, taps};
    pieces.push_back({.space = IndexSpace(shape, {{taps, 1}, {1, channels}})});
    reorder_.emplace(std::move(pieces), size_of(w.dtype), device);
    const int64_t bytes = w.reach_bytes();
    if (!problem.is_constant(1) || problem.key(1) == 0) {
      weight_bytes_ = (bytes + kAlignment - 1) / kAlignment * kAlignment;
      return;
    }
    const uint64_t key = hash_combine(problem.key(1), hash_bytes("taps by channels " + w.text()));
    kept_weight_ = cache.packed(key, bytes, "a depthwise weight", [&](std::byte* to) {
      const void* weight = problem.constant(1);
      void* target = to;
      const StreamHandle stream = device.default_stream();
      reorder_->run({&weight, 1}, {&target, 1}, stream);
      device.synchronize(stream);
    });
  }

  CudaChain chain_;
  Form form_;
  int64_t alignment_ = 1;
  std::optional<CudaCopies> reorder_;
  std::shared_ptr<const Buffer> kept_weight_;
  int64_t weight_bytes_ = 0;  // of the workspace
};

class DepthwiseConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return "conv.depthwise"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_plain_conv(problem)) return reason;
    if (auto reason = ConvProblem::refuses(problem, Format::kChannelsLast)) return reason;
    const DType type = problem.inputs[0].dtype;
    if (!is_floating(type)) return "it takes floating types";
    if (problem.outputs[0].elements() == 0) return "there is nothing to do";
    const ConvProblem conv(problem);
    if (conv.groups < 2 || conv.channels != 1 || conv.outputs != 1) {
      return "groups are not of one channel each";
    }
    const WindowAxis& wide = conv.axes[2];
    if (wide.kernel > kMostTaps || wide.stride > 4 || wide.dilation > 4) {
      return "it takes windows of up to 7 columns, strides and dilations up to 4";
    }
    if (problem.inputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
    return std::nullopt;
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    return std::make_unique<PreparedDepthwise>(problem, cache);
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_depthwise_conv_cuda() {
  return std::make_shared<DepthwiseConv>();
}

}  // namespace cleave::backend
