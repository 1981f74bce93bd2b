// Attention on GPUs by cuDNN's fused kernels, for 16-bit types. What it is not for, and what cuDNN
// turns out not to support, our own kernels do.
#include <cudnn_frontend.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <vector>

#include "backend/cuda/cudnn_graph.h"
#include "backend/cuda/cudnn_image.h"
#include "backend/cuda/launch.h"
#include "backend/cuda/pieces.h"
#include "ops/attention/cuda_bias.h"
#include "ops/attention/cuda_problem.h"
#include "ops/attention/cuda_tiles.h"
#include "types/workspace.h"

namespace cleave::backend {
namespace {

namespace fe = cudnn_frontend;

constexpr int64_t kMostDepth = 512;  // on some GPUs cuDNN has less
constexpr int64_t kPieceElements = kMostPieceBytes / 2;

enum Tensor : int64_t { kQuery = 1, kKey, kValue, kBias, kResult };

// An operand as cuDNN is told of it.
struct Described {
  std::vector<int64_t> dims, strides;

  // Dimensions of size 1 have a stride that is as good as any: behind all elements.
  Described(const Operand4& operand, std::vector<int64_t> extents) : dims(std::move(extents)) {
    int64_t reach = 1;
    for (size_t d = 0; d < 4; ++d) reach = std::max(reach, dims[d] * operand.strides[d]);
    reach = (reach + kPieceElements - 1) / kPieceElements * kPieceElements;
    for (size_t d = 0; d < 4; ++d) strides.push_back(dims[d] == 1 ? reach : operand.strides[d]);
  }
  std::string text() const {
    std::string result;
    for (const auto* list : {&dims, &strides}) {
      for (const int64_t number : *list) result += std::to_string(number) + ",";
    }
    return result;
  }
};

// An attention as cuDNN has it: with as many heads in each group, and causal along the diagonal
// that begins at the first row and column or ends at the last. Keys that no row sees are left out.
struct FusedProblem {
  AttentionProblem work;
  int64_t first_key_head = 0;
  int64_t key_heads = 0;
  int64_t keys = 0;
  std::optional<fe::DiagonalAlignment_t> diagonal;
  bool has_diagonal = true;  // or is not causal

  explicit FusedProblem(const KernelProblem& problem) : work(problem), keys(work.keys) {
    first_key_head = work.key_head(0);
    key_heads = work.key_head(work.heads - 1) - first_key_head + 1;
    if (!work.causal) return;
    const int64_t seen = work.visible + work.rows - 1;  // by the last row
    keys = std::min(work.keys, seen);
    if (work.rows == 1) return;
    if (work.visible == 1) {
      diagonal = fe::DiagonalAlignment_t::TOP_LEFT;
    } else if (keys == seen) {
      diagonal = fe::DiagonalAlignment_t::BOTTOM_RIGHT;
    } else {
      has_diagonal = false;
    }
  }
  bool has_whole_groups() const {
    if (work.heads % key_heads != 0) return false;
    const int64_t group = work.heads / key_heads;
    for (int64_t h = 0; h < work.heads; ++h) {
      if (work.key_head(h) != first_key_head + h / group) return false;
    }
    return true;
  }

  Described q() const { return {work.q, {work.batches, work.heads, work.rows, work.depth}}; }
  Described k() const { return {work.k, {work.batches, key_heads, keys, work.depth}}; }
  Described v() const { return {work.v, {work.batches, key_heads, keys, work.width}}; }
  Described out() const { return {work.out, {work.batches, work.heads, work.rows, work.width}}; }
};

// Rows lie dense and begin at multiples of 16 bytes, as the operand does; none twice.
bool has_whole_pieces(const Described& operand) {
  if (operand.strides[3] != 1) return false;
  return std::all_of(operand.strides.begin(), operand.strides.begin() + 3,
                     [](int64_t stride) { return stride > 0 && stride % kPieceElements == 0; });
}

std::optional<std::string> refuse_mask(const FusedProblem& fused, const KernelProblem& problem) {
  const DType type = problem.inputs[3].dtype;
  if (type != DType::kBool && type != fused.work.q.type) return "the mask is of another type";
  // cuDNN has a bias beside that diagonal alone.
  if (fused.diagonal && *fused.diagonal != fe::DiagonalAlignment_t::TOP_LEFT) {
    return "it is causal with a mask, and the first row sees more than the first column";
  }
  if (AttentionBias(fused.work, problem.inputs[3], fused.keys).bytes() > kMostAttentionBiasBytes) {
    return "the mask is larger than the workspace may be";
  }
  return std::nullopt;
}

std::optional<std::string> refuse_fused(const KernelProblem& problem) {
  if (auto reason = AttentionProblem::refuses(problem, false)) return reason;
  if (auto reason = refuse_types_of_attention(problem)) return reason;
  const DType type = problem.inputs[0].dtype;
  if (type != DType::kFloat16 && type != DType::kBFloat16) return "it takes f16, bf16";
  if (problem.outputs[0].elements() == 0) return "there is nothing to do";
  for (const TensorView* view :
       {&problem.inputs[0], &problem.inputs[1], &problem.inputs[2], &problem.outputs[0]}) {
    if (!cudnn_takes(*view)) return "an operand begins where cuDNN does not read or write";
  }
  const FusedProblem fused(problem);
  const AttentionProblem& work = fused.work;
  if (work.depth == 0 || work.depth % kPieceElements != 0 || work.width % kPieceElements != 0) {
    return "the depth of heads is no multiple of 8";
  }
  if (work.depth > kMostDepth || work.width > kMostDepth) {
    return "heads are of more than 256 elements";
  }
  if (work.keys == 0 || (work.causal && work.visible < 1)) return "a row sees nothing";
  if (!fused.has_diagonal) return "its diagonal ends at neither corner";
  if (!fused.has_whole_groups()) return "query heads are no whole groups";
  for (const Described& operand : {fused.q(), fused.k(), fused.v(), fused.out()}) {
    if (!has_whole_pieces(operand)) return "rows do not begin at multiples of 16 bytes";
  }
  return work.has_mask ? refuse_mask(fused, problem) : std::nullopt;
}

// `how`: as one operation of cuDNN's, or composed of its products and softmax.
CudnnGraph graph_of(const FusedProblem& fused, const std::optional<AttentionBias>& bias,
                    fe::AttentionImplementation_t how) {
  const auto describe = [=](fe::graph::Graph& graph) {
    const auto tensor = [&](const char* name, int64_t uid, std::vector<int64_t> dims,
                            std::vector<int64_t> strides) {
      return graph.tensor(fe::graph::Tensor_attributes()
                              .set_name(name)
                              .set_uid(uid)
                              .set_dim(std::move(dims))
                              .set_stride(std::move(strides)));
    };
    graph.set_io_data_type(frontend_type(fused.work.q.type))
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    auto attention = fe::graph::SDPA_attributes()
                         .set_name("attention")
                         .set_generate_stats(false)
                         .set_implementation(how)
                         .set_attn_scale(fused.work.scale);
    if (fused.diagonal) {
      attention.set_diagonal_alignment(*fused.diagonal).set_diagonal_band_right_bound(0);
    }
    if (bias) attention.set_bias(tensor("bias", kBias, bias->extents(), bias->strides()));
    const Described q = fused.q();
    const Described k = fused.k();
    const Described v = fused.v();
    const Described out = fused.out();
    const auto results =
        graph.sdpa(tensor("q", kQuery, q.dims, q.strides), tensor("k", kKey, k.dims, k.strides),
                   tensor("v", kValue, v.dims, v.strides), attention);
    results[0]->set_output(true).set_uid(kResult).set_dim(out.dims).set_stride(out.strides);
  };
  std::string key =
      "attention.cudnn " + std::to_string(static_cast<int>(how)) + " " +
      std::string(name_of(fused.work.q.type)) + " " +
      std::to_string(std::bit_cast<uint32_t>(fused.work.scale)) +
      (fused.diagonal ? " causal " + std::to_string(static_cast<int>(*fused.diagonal)) : "");
  for (const Described& operand : {fused.q(), fused.k(), fused.v(), fused.out()}) {
    key += " " + operand.text();
  }
  if (bias) {
    key += " bias";
    for (const int64_t extent : bias->extents()) key += "," + std::to_string(extent);
  }
  return {.key = key, .describe = describe, .most_workspace_bytes = kAttentionPartsBytes};
}

// Versions of cuDNN differ in what they have for which GPUs: null where it has nothing.
std::shared_ptr<const CudnnPlan> plan_of(const FusedProblem& fused,
                                         const std::optional<AttentionBias>& bias,
                                         CudaDevice& device) {
  using How = fe::AttentionImplementation_t;
  for (const How how : {How::AUTO, How::COMPOSITE}) {
    if (auto plan = cudnn_plan(device, graph_of(fused, bias, how))) return plan;
  }
  return nullptr;
}

class PreparedFused final : public PreparedKernel {
 public:
  PreparedFused(const FusedProblem& fused, std::optional<AttentionBias> bias,
                std::optional<AttentionMasking> masking, std::shared_ptr<const CudnnPlan> plan)
      : bias_bytes_(bias ? bias->bytes() : 0),
        masking_(std::move(masking)),
        plan_(std::move(plan)) {
    const auto size = static_cast<int64_t>(size_of(fused.work.q.type));
    key_bytes_ = fused.first_key_head * fused.work.k.strides[1] * size;
    value_bytes_ = fused.first_key_head * fused.work.v.strides[1] * size;
  }

  int64_t workspace_bytes() const override { return bias_bytes_ + plan_->workspace_bytes(); }

  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           const Launch& launch) const override {
    check_aligned({inputs[0], inputs[1], inputs[2], outputs[0]}, kMostPieceBytes);
    if (masking_) masking_->add(inputs[3], launch.workspace, launch);
    plan_->run({{kQuery, inputs[0]},
                {kKey, static_cast<const std::byte*>(inputs[1]) + key_bytes_},
                {kValue, static_cast<const std::byte*>(inputs[2]) + value_bytes_},
                {kBias, launch.workspace},
                {kResult, outputs[0]}},
               launch.workspace + bias_bytes_, launch);
    if (masking_) masking_->hide(launch.workspace, outputs[0], launch);
  }

 private:
  int64_t bias_bytes_;
  std::optional<AttentionMasking> masking_;
  std::shared_ptr<const CudnnPlan> plan_;
  int64_t key_bytes_ = 0;  // before the first head that is read
  int64_t value_bytes_ = 0;
};

class FusedAttention final : public Kernel {
 public:
  std::string_view op() const override { return "attention"; }
  std::string_view name() const override { return "attention.cudnn"; }
  std::optional<std::string> refuses(const KernelProblem& problem) const override {
    return refuse_fused(problem);
  }
  std::unique_ptr<PreparedKernel> prepare(const KernelProblem& problem,
                                          KernelCache& cache) const override {
    CudaDevice& device = cuda_device(cache);
    const FusedProblem fused(problem);
    std::optional<AttentionBias> bias;
    if (fused.work.has_mask) bias.emplace(fused.work, problem.inputs[3], fused.keys);
    auto plan = plan_of(fused, bias, device);
    // Of a GPU that is not there it is not known whether cuDNN has a plan: then all is compiled.
    std::optional<AttentionMasking> masking;
    if (bias && (plan || !device.is_there())) {
      masking.emplace(prepare_masking(fused.work, *bias, device));
    }
    if (!plan) return prepare_own_attention(problem, cache);
    return std::make_unique<PreparedFused>(fused, std::move(bias), std::move(masking),
                                           std::move(plan));
  }
};

}  // namespace

std::vector<std::shared_ptr<const Kernel>> make_attention_cuda_frontend() {
  return {std::make_shared<FusedAttention>()};
}

}  // namespace cleave::backend
