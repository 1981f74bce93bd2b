// Convolutions by cuDNN's graphs, with the chain behind them in the same kernel where cuDNN has one
// that does.
//
// Of its plans those will do that add up the products as they are, in float32 at least. Left out
// are, besides those that give other bits in every run: for float32, tensor cores (TF32) unless the
// problem allows them, and operands in half precision; sums in half precision; and transforms
// (Winograd, FFT), through which one large or infinite element would reach results that do not see
// it.
#include <cudnn_frontend.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cudnn_graph.h"
#include "backend/cuda/pieces.h"
#include "ops/conv/cuda_chain_graph.h"
#include "ops/conv/cuda_cudnn.h"
#include "ops/conv/cuda_stages.h"

namespace cleave::backend {
namespace {

namespace fe = cudnn_frontend;

constexpr const char* kName = "conv.cudnn_graph";
// Plans that tuning tries of each variant: cuDNN's best comes early.
constexpr size_t kMostPlans = 16;

enum Uid : int64_t { kX = 1, kW, kY, kOperands };

// What cuDNN is given of a problem.
struct Variant {
  bool chains = true;  // the chain too
  bool pads = false;   // the operand with its padding

  // As names of algorithms begin.
  std::string text() const {
    return std::string(chains ? "" : "chain apart, ") + (pads ? "padded, " : "");
  }
};

// What cuDNN is asked for in a variant.
class Asked {
 public:
  Asked(const KernelProblem& problem, const Variant& variant)
      : variant_(variant),
        image_(image_of(problem)),
        views_(problem, image_, variant.pads),
        most_bytes_(most_conv_workspace(problem)),
        tf32_(problem.attributes.integer("tf32", 0) != 0) {
    if (variant.pads) most_bytes_ -= bytes_of(views_.x);
    chain_ = variant.chains ? ChainGraph::of(problem, views_.y, views_.format) : ChainGraph{};
    if (chain_ && !variant.chains) chain_->result = views_.y.dtype;
    if (chain_) describe_chain(problem);
  }

  // cuDNN has no operation for something in it.
  bool is_there() const { return chain_.has_value(); }
  const ChainGraph& chain() const { return *chain_; }

  CudnnGraph graph(std::string plan) const {
    return {.key = key(),
            .describe = [this](fe::graph::Graph& graph) { describe(graph); },
            .deselect = [this](fe::graph::Graph& graph) { deselect(graph); },
            .most_workspace_bytes = most_bytes_,
            .plan = std::move(plan)};
  }

 private:
  static int64_t bytes_of(const TensorView& view) {
    constexpr int64_t kAlignment = 256;
    return (view.reach_bytes() + kAlignment - 1) / kAlignment * kAlignment;
  }

  void describe_chain(const KernelProblem& problem) {
    for (const char* name : {"epilogue_inputs", "epilogue_steps", "epilogue_outputs"}) {
      const Attributes::Value* value = problem.attributes.find(name);
      if (value == nullptr || !variant_.chains) continue;
      Attributes one;
      one.set(name, *value);
      chain_text_ += " " + one.text();
    }
  }

  std::string key() const {
    std::string text = kName;
    for (const TensorView* view : {&views_.x, &views_.w, &views_.y}) text += " " + view->text();
    for (const WindowAxis& axis : image_.axes()) {
      for (const int64_t number : {low(axis), high(axis), axis.stride, axis.dilation}) {
        text += " " + std::to_string(number);
      }
    }
    text += chain_text_;
    for (const ChainOperand& operand : chain_->operands) text += " " + operand.view.text();
    if (tf32_) text += " tf32";
    return text + " to " + std::string(name_of(chain_->result));
  }

  int64_t low(const WindowAxis& axis) const { return variant_.pads ? 0 : axis.low; }
  int64_t high(const WindowAxis& axis) const {
    if (variant_.pads) return 0;
    return image_.is_padded_evenly() ? axis.low : CudnnImage::high(axis);
  }

  using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

  static Tensor tensor(fe::graph::Graph& graph, const TensorView& view, int64_t uid) {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_dim(view.shape)
                            .set_stride(view.strides)
                            .set_data_type(frontend_type(view.dtype))
                            .set_uid(uid));
  }

  void describe(fe::graph::Graph& graph) const {
    graph.set_io_data_type(frontend_type(views_.x.dtype))
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    std::vector<int64_t> lows, highs, strides, dilations;
    for (const WindowAxis& axis : image_.axes()) {
      lows.push_back(low(axis));
      highs.push_back(high(axis));
      strides.push_back(axis.stride);
      dilations.push_back(axis.dilation);
    }
    Tensor y = graph.conv_fprop(tensor(graph, views_.x, kX), tensor(graph, views_.w, kW),
                                fe::graph::Conv_fprop_attributes()
                                    .set_pre_padding(lows)
                                    .set_post_padding(highs)
                                    .set_stride(strides)
                                    .set_dilation(dilations));
    lie(y);
    y = chained(graph, y);
    y->set_output(true).set_uid(kY).set_data_type(frontend_type(chain_->result));
  }

  void lie(const Tensor& y) const { y->set_dim(views_.y.shape).set_stride(views_.y.strides); }

  Tensor chained(fe::graph::Graph& graph, const Tensor& sums) const {
    std::vector<Tensor> values = {sums};
    for (size_t i = 0; i < chain_->operands.size(); ++i) {
      values.push_back(
          tensor(graph, chain_->operands[i].view, kOperands + static_cast<int64_t>(i)));
    }
    for (const FusedStep& step : chain_->program.steps) {
      const Tensor& a = values.at(static_cast<size_t>(step.args.at(0)));
      const ChainOp op = chain_op(step);
      if (op == ChainOp::kNothing) {
        values.push_back(a);
        continue;
      }
      const fe::graph::Pointwise_attributes how = pointwise(op, step);
      const Tensor made =
          step.args.size() > 1
              ? graph.pointwise(a, values.at(static_cast<size_t>(step.args[1])), how)
              : graph.pointwise(a, how);
      lie(made);
      values.push_back(made);
    }
    return values.back();
  }

  static fe::graph::Pointwise_attributes pointwise(ChainOp op, const FusedStep& step) {
    using Mode = fe::PointwiseMode_t;
    fe::graph::Pointwise_attributes how;
    const auto mode = [&](Mode one) { how.set_mode(one); };
    switch (op) {
      case ChainOp::kAdd:
        mode(Mode::ADD);
        break;
      case ChainOp::kSub:
        mode(Mode::SUB);
        break;
      case ChainOp::kMul:
        mode(Mode::MUL);
        break;
      case ChainOp::kDiv:
        mode(Mode::DIV);
        break;
      case ChainOp::kNeg:
        mode(Mode::NEG);
        break;
      case ChainOp::kAbs:
        mode(Mode::ABS);
        break;
      case ChainOp::kExp:
        mode(Mode::EXP);
        break;
      case ChainOp::kRelu:
        mode(Mode::RELU_FWD);
        break;
      case ChainOp::kLeakyRelu:
        mode(Mode::RELU_FWD);
        how.set_relu_lower_clip_slope(static_cast<float>(step.alpha));
        break;
      case ChainOp::kElu:
        mode(Mode::ELU_FWD);
        how.set_elu_alpha(static_cast<float>(step.alpha));
        break;
      case ChainOp::kSigmoid:
        mode(Mode::SIGMOID_FWD);
        break;
      case ChainOp::kTanh:
        mode(Mode::TANH_FWD);
        break;
      case ChainOp::kSilu:
        mode(Mode::SWISH_FWD);
        break;
      case ChainOp::kGelu:
        mode(Mode::GELU_FWD);
        break;
      case ChainOp::kGeluTanh:
        mode(Mode::GELU_APPROX_TANH_FWD);
        break;
      case ChainOp::kNothing:
      case ChainOp::kNone:
        mode(Mode::IDENTITY);
        break;
    }
    return how;
  }

  void deselect(fe::graph::Graph& graph) const {
    using Note = fe::NumericalNote_t;
    graph.deselect_numeric_notes({Note::REDUCED_PRECISION_REDUCTION, Note::FFT, Note::WINOGRAD,
                                  Note::WINOGRAD_TILE_4x4, Note::WINOGRAD_TILE_6x6,
                                  Note::WINOGRAD_TILE_13x13, Note::DOWN_CONVERT_INPUTS});
    if (views_.x.dtype == DType::kFloat32 && !tf32_) {
      graph.deselect_numeric_notes({Note::TENSOR_CORE});
    }
  }

  Variant variant_;
  CudnnImage image_;
  CudnnViews views_;
  int64_t most_bytes_;
  bool tf32_;
  std::optional<ChainGraph> chain_;
  std::string chain_text_;
};

bool is_half_in_planes(const KernelProblem& problem) {
  const DType type = problem.inputs[0].dtype;
  return type != DType::kFloat32 && ConvProblem::refuses(problem, Format::kChannelsLast);
}

// Windows along one dimension of groups of one channel.
bool is_signal_filter(const ConvProblem& conv) {
  const auto is_long = [](const WindowAxis& axis) { return axis.kernel > 1; };
  return conv.channels == 1 && std::count_if(conv.axes.begin(), conv.axes.end(), is_long) <= 1;
}

// In the order in which they are tried. Chains in half precision are kernels of their own: one
// network's results were wrong where cuDNN carried them out. Padding that differs before and behind
// an image is not cuDNN's affair in such filters: its kernel for them (9.14's engine 5) goes by
// what is before the image alone.
std::vector<Variant> variants(const KernelProblem& problem) {
  const CudnnImage image = image_of(problem);
  const bool takes_uneven = image.is_padded() && !is_signal_filter(ConvProblem(problem));
  const bool takes_as_it_lies =
      cudnn_takes(problem.inputs[0]) && (image.is_padded_evenly() || takes_uneven);
  const bool has_chain = CudaChain::is_there(problem);
  const bool may_chain =
      !has_chain || (problem.inputs[0].dtype == DType::kFloat32 &&
                     std::all_of(problem.inputs.begin() + 2, problem.inputs.end(), cudnn_takes));
  std::vector<Variant> variants;
  for (const bool pads : {false, true}) {
    if (pads ? !needs_copy(problem, image) : !takes_as_it_lies) continue;
    if (may_chain) variants.push_back({.chains = true, .pads = pads});
    if (has_chain) variants.push_back({.chains = false, .pads = pads});
  }
  return variants;
}

// Whether the plan that cuDNN's heuristic puts first is taken untuned. Measured on an H200: of
// groups, those of one channel above all, it is several times faster than the older interface; of
// others that has the same kernels or better ones (four times faster for windows of 13 × 13 and for
// images of 3 channels), and a chain in the same kernel pays where little is added up.
bool is_first_choice(const KernelProblem& problem, const Variant& variant) {
  constexpr int64_t kLeastChannels = 8;
  constexpr int64_t kFewTerms = 1024;
  const ConvProblem conv(problem);
  if (conv.groups > 1) return true;
  return variant.chains && CudaChain::is_there(problem) && conv.channels >= kLeastChannels &&
         conv.channels * conv.taps() <= kFewTerms;
}

class PreparedGraph final : public PreparedKernel {
 public:
  PreparedGraph(const KernelProblem& problem, KernelCache& cache, const Variant& variant,
                const Asked& asked, std::shared_ptr<const CudnnPlan> plan, std::string algorithm)
      : plan_(std::move(plan)),
        algorithm_(std::move(algorithm)),
        stages_(problem, cache, variant.pads, !variant.chains) {
    for (const ChainOperand& operand : asked.chain().operands) {
      operands_.push_back(operand.input);
    }
  }

  int64_t workspace_bytes() const override {
    return stages_.workspace_bytes() + plan_->workspace_bytes();
  }
  bool reads_input(size_t input) const override { return stages_.reads_input(input); }
  std::string_view algorithm() const override { return algorithm_; }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    const ConvStages::Operands given = stages_.before(inputs, outputs, launch);
    std::vector<CudnnPlan::Tensor> tensors = {{kX, given.x}, {kW, given.w}, {kY, given.y}};
    for (size_t i = 0; i < operands_.size(); ++i) {
      const void* const operand = inputs[operands_[i]];
      check_aligned({operand}, kMostPieceBytes);
      tensors.emplace_back(kOperands + static_cast<int64_t>(i), operand);
    }
    plan_->run(tensors, given.workspace, launch);
    stages_.after(given, inputs, outputs, launch);
  }

 private:
  std::shared_ptr<const CudnnPlan> plan_;
  std::string algorithm_;
  std::vector<size_t> operands_;  // of the chain, where it is cuDNN's
  ConvStages stages_;
};

class GraphConv final : public Kernel {
 public:
  std::string_view op() const override { return "conv"; }
  std::string_view name() const override { return kName; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    if (auto reason = refuse_cudnn_conv(problem)) return reason;
    if (problem.inputs[0].dtype == DType::kFloat64) return "it takes f32, f16 and bf16";
    // One of its kernels (9.14's engine 71) reads operands in planes as if they were channels-last
    // where the result's few places lie in both, and ends at misaligned addresses.
    if (ConvProblem(problem).groups > 1 && is_half_in_planes(problem)) {
      return "groups are channels-last in half precision";
    }
    return std::nullopt;
  }

  std::vector<std::string> algorithms(const KernelProblem& problem,
                                      KernelCache& cache) const override {
    std::vector<std::string> names;
    for (const Variant& variant : variants(problem)) {
      const Asked asked(problem, variant);
      if (!asked.is_there()) continue;
      for (const std::string& plan :
           cudnn_plan_names(cuda_device(cache), asked.graph(""), kMostPlans)) {
        names.push_back(cudnn_version_text() + variant.text() + plan);
      }
    }
    return names;
  }

  std::optional<std::string> wants_tuning(const KernelProblem& problem) const override {
    return ConvProblem(problem).large_window();
  }

  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    if (!problem.algorithm.empty()) {
      for (const Variant& variant : variants(problem)) {
        const std::string before = cudnn_version_text() + variant.text();
        if (!problem.algorithm.starts_with(before)) continue;
        if (auto made = make(problem, cache, variant, problem.algorithm.substr(before.size()))) {
          return made;
        }
      }
    }
    for (const Variant& variant : variants(problem)) {
      if (!is_first_choice(problem, variant)) continue;
      if (auto made = make(problem, cache, variant, "")) return made;
    }
    return prepare_cudnn_conv(problem, cache);
  }

 private:
  // Null where cuDNN has no such plan.
  static std::unique_ptr<PreparedKernel> make(const KernelProblem& problem, KernelCache& cache,
                                              const Variant& variant, const std::string& plan) {
    const Asked asked(problem, variant);
    if (!asked.is_there()) return nullptr;
    auto found = cudnn_plan(cuda_device(cache), asked.graph(plan));
    if (found == nullptr) return nullptr;
    return std::make_unique<PreparedGraph>(problem, cache, variant, asked, std::move(found),
                                           plan.empty() ? "" : problem.algorithm);
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_conv_cuda_frontend() {
  return {std::make_shared<GraphConv>()};
}

}  // namespace cleave::backend
