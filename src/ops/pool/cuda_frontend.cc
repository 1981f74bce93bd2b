// Poolings by cuDNN's graphs, which tuning chooses where they are faster: maxima and averages of
// windows without dilation.
#include <cudnn_frontend.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cudnn_graph.h"
#include "backend/cuda/cudnn_image.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/pieces.h"
#include "backend/cuda/space.h"
#include "backend/refusals.h"
#include "ops/pool/cuda_windows.h"

namespace cleave::backend {
namespace {

namespace fe = cudnn_frontend;

constexpr size_t kMostPlans = 8;  // that tuning tries

enum Uid : int64_t { kX = 1, kY };

PoolGeometry geometry_of(const KernelProblem& problem, Pooling how) {
  return {how, problem.attributes, problem.inputs[0].shape, problem.outputs[0].shape};
}

// Whether each window's taps count as `counted(axis, at)` says.
template <class Counted>
bool counts(const PoolGeometry& geometry, const Counted& counted) {
  for (size_t d = 0; d < kMaxImageDims; ++d) {
    const WindowAxis& axis = geometry.axes[d];
    for (int64_t at = 0; at < axis.out; ++at) {
      if (geometry.counts[d][static_cast<size_t>(at)] != counted(axis, at)) return false;
    }
  }
  return true;
}

bool is_symmetric(const PoolGeometry& geometry) {
  return std::all_of(geometry.axes.begin(), geometry.axes.end(),
                     [](const WindowAxis& axis) { return axis.low == CudnnImage::high(axis); });
}

// Nothing where cuDNN has no such average.
std::optional<fe::ResampleMode_t> mode_of(const PoolGeometry& geometry, Pooling how) {
  using Mode = fe::ResampleMode_t;
  if (how == Pooling::kMax) return Mode::MAXPOOL;
  const auto all = [](const WindowAxis& axis, int64_t) { return axis.kernel; };
  const auto inside = [](const WindowAxis& axis, int64_t at) { return axis.taps(at).size(); };
  if (counts(geometry, all)) return Mode::AVGPOOL_INCLUDE_PADDING;
  if (counts(geometry, inside)) return Mode::AVGPOOL_EXCLUDE_PADDING;
  return std::nullopt;
}

// What cuDNN is asked for. The problem is one that GraphPool takes.
class Asked {
 public:
  Asked(const KernelProblem& problem, Pooling how)
      : Asked(problem, how, geometry_of(problem, how)) {}

  CudnnGraph graph(std::string plan) const {
    return {.key = key(),
            .describe = [this](fe::graph::Graph& graph) { describe(graph); },
            .plan = std::move(plan)};
  }

 private:
  Asked(const KernelProblem& problem, Pooling how, const PoolGeometry& geometry)
      : image_(geometry.axes, problem.inputs[0]), mode_(mode_of(geometry, how).value()) {
    const DType type = problem.inputs[0].dtype;
    const Format format = common_format(problem).value();
    const auto in = [](const WindowAxis& axis) { return axis.in; };
    const auto out = [](const WindowAxis& axis) { return axis.out; };
    x_ = TensorView::dense(type, image_.shape(problem.inputs[0], in), format);
    y_ = TensorView::dense(type, image_.shape(problem.outputs[0], out), format);
  }

  std::string key() const {
    std::string text = "pool " + std::to_string(static_cast<int>(mode_)) + " " + x_.text();
    for (const WindowAxis& axis : image_.axes()) {
      for (const int64_t number : {axis.out, axis.kernel, axis.stride, axis.low}) {
        text += " " + std::to_string(number);
      }
    }
    return text;
  }

  void describe(fe::graph::Graph& graph) const {
    graph.set_io_data_type(frontend_type(x_.dtype))
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    std::vector<int64_t> kernels, strides, lows, highs;
    for (const WindowAxis& axis : image_.axes()) {
      kernels.push_back(axis.kernel);
      strides.push_back(axis.stride);
      lows.push_back(axis.low);
      highs.push_back(CudnnImage::high(axis));
    }
    const bool is_max = mode_ == fe::ResampleMode_t::MAXPOOL;
    const auto x = graph.tensor(
        fe::graph::Tensor_attributes().set_dim(x_.shape).set_stride(x_.strides).set_uid(kX));
    auto how =
        fe::graph::Resample_attributes()
            .set_resampling_mode(mode_)
            .set_padding_mode(is_max ? fe::PaddingMode_t::NEG_INF_PAD : fe::PaddingMode_t::ZERO_PAD)
            .set_window(kernels)
            .set_stride(strides)
            .set_pre_padding(lows)
            .set_post_padding(highs)
            .set_generate_index(false);
    const auto y = graph.resample(x, std::move(how))[0];
    y->set_output(true).set_uid(kY).set_dim(y_.shape).set_stride(y_.strides);
  }

  CudnnImage image_;
  fe::ResampleMode_t mode_;
  TensorView x_, y_;
};

class PreparedGraph final : public PreparedKernel {
 public:
  PreparedGraph(std::shared_ptr<const CudnnPlan> plan, std::string algorithm)
      : plan_(std::move(plan)), algorithm_(std::move(algorithm)) {}

  std::string_view algorithm() const override { return algorithm_; }
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    check_aligned({inputs[0], outputs[0]}, kMostPieceBytes);
    plan_->run({{kX, inputs[0]}, {kY, outputs[0]}}, launch.workspace, launch);
  }

 private:
  std::shared_ptr<const CudnnPlan> plan_;
  std::string algorithm_;
};

class GraphPool final : public Kernel {
 public:
  GraphPool(const char* op, Pooling how)
      : name_(std::string(op) + ".cudnn_graph"), how_(how), windows_(make_windows_pool(op, how)) {}

  std::string_view op() const override { return windows_->op(); }
  std::string_view name() const override { return name_; }
  bool is_chosen_by_rule() const override { return false; }

  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = windows_->refuses(problem)) return reason;
    const DType type = problem.inputs[0].dtype;
    if (type != DType::kFloat32 && type != DType::kFloat16 && type != DType::kBFloat16) {
      return "it takes f32, f16 and bf16";
    }
    if (problem.outputs[0].elements() == 0) return "there is nothing to do";
    if (!cudnn_takes(problem.inputs[0]) || !cudnn_takes(problem.outputs[0])) {
      return "an operand begins where cuDNN does not read or write";
    }
    if (problem.inputs[0].elements() > kMostIndex) return "it has more than 2^31 elements";
    const PoolGeometry geometry = geometry_of(problem, how_);
    for (const WindowAxis& axis : geometry.axes) {
      if (axis.dilation != 1) return "windows are dilated";
      // What stands for no element is another number for each.
      if (axis.low >= axis.kernel || CudnnImage::high(axis) >= axis.kernel) {
        return "a window may see nothing";
      }
    }
    if (!CudnnImage(geometry.axes, problem.inputs[0]).is_padded()) {
      return "its windows are not those of a padded image";
    }
    const auto mode = mode_of(geometry, how_);
    if (!mode) return "padding counts in some windows";
    // What cuDNN (9.14) takes but does wrongly.
    if (common_format(problem) == Format::kChannelsLast) {
      if (type == DType::kBFloat16) return "cuDNN writes bf16 of channels-last beyond its place";
      if (geometry.image_elements() == 1) return "cuDNN takes one element a channel for planes";
    }
    if (mode == fe::ResampleMode_t::AVGPOOL_INCLUDE_PADDING && !is_symmetric(geometry)) {
      return "cuDNN counts padding behind an image as before it";
    }
    return std::nullopt;
  }

  std::vector<std::string> algorithms(const KernelProblem& problem,
                                      KernelCache& cache) const override {
    std::vector<std::string> names;
    const Asked asked(problem, how_);
    for (const std::string& plan :
         cudnn_plan_names(cuda_device(cache), asked.graph(""), kMostPlans)) {
      names.push_back(cudnn_version_text() + plan);
    }
    return names;
  }

  // As the other kernel has it where cuDNN has no such plan.
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    const std::string& algorithm = problem.algorithm;
    const std::string version = cudnn_version_text();
    if (algorithm.empty() || algorithm.starts_with(version)) {
      const Asked asked(problem, how_);
      const std::string plan = algorithm.empty() ? "" : algorithm.substr(version.size());
      if (auto found = cudnn_plan(cuda_device(cache), asked.graph(plan))) {
        return std::make_unique<PreparedGraph>(std::move(found), algorithm);
      }
    }
    return windows_->prepare(problem, cache);
  }

 private:
  std::string name_;
  Pooling how_;
  std::shared_ptr<const Kernel> windows_;
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_pool_cuda_frontend() {
  return {std::make_shared<GraphPool>("max_pool", Pooling::kMax),
          std::make_shared<GraphPool>("average_pool", Pooling::kAverage)};
}

}  // namespace cleave::backend
