#include "backend/cuda/cudnn_graph.h"

#include <cudnn_frontend.h>

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "backend/cuda/cudnn.h"

namespace cleave::backend {
namespace {

namespace fe = cudnn_frontend;

// True where the call did what it should, false where cuDNN does not support what was asked for.
bool succeeded(const fe::error_object& status, const char* during) {
  if (status.is_good()) return true;
  switch (status.code) {
    case fe::error_code_t::CUDA_API_FAILED:
    case fe::error_code_t::INVALID_CUDA_DEVICE:
    case fe::error_code_t::HANDLE_ERROR:
      throw Error(ErrorCode::kDevice, "cuDNN: " + status.err_msg + " (" + during + ")",
                  "see `cleave doctor` for the versions of CUDA's libraries");
    default:
      return false;
  }
}

class Plan final : public CudnnPlan {
 public:
  // Null where there is none.
  static std::shared_ptr<const Plan> build(CudaDevice& device, const CudnnGraph& asked) {
    constexpr const char* kDuring = "building a plan";
    device.make_current();
    auto plan = std::make_shared<Plan>(cudnn_of(device));
    fe::graph::Graph& graph = plan->graph_;
    try {
      asked.describe(graph);
      if (!succeeded(graph.validate(), kDuring) ||
          !succeeded(graph.build_operation_graph(plan->handle_), kDuring) ||
          !succeeded(graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}),
                     kDuring)) {
        return nullptr;
      }
      graph.deselect_workspace_greater_than(asked.most_workspace_bytes);
      graph.deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
      if (asked.deselect) asked.deselect(graph);
      if (!succeeded(graph.check_support(), kDuring) || !succeeded(graph.build_plans(), kDuring) ||
          !succeeded(graph.get_workspace_size(plan->workspace_bytes_), kDuring)) {
        return nullptr;
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
      return nullptr;  // what the front end cannot describe
    }
    return plan->workspace_bytes_ <= asked.most_workspace_bytes ? plan : nullptr;
  }

  explicit Plan(cudnnHandle_t handle) : handle_(handle) {}

  int64_t workspace_bytes() const override { return workspace_bytes_; }

  void run(std::initializer_list<std::pair<int64_t, const void*>> tensors, std::byte* workspace,
           const Launch& launch) const override {
    std::unordered_map<int64_t, void*> addresses;
    for (const auto& [uid, data] : tensors) addresses.emplace(uid, const_cast<void*>(data));
    cudnn_check(cudnnSetStream(handle_, static_cast<cudaStream_t>(launch.stream.native)),
                "choosing a stream");
    const fe::error_object status = graph_.execute(handle_, addresses, workspace);
    if (status.is_good()) return;
    throw Error(ErrorCode::kDevice, "cuDNN: " + status.err_msg + " (running a plan)",
                "see `cleave doctor` for the versions of CUDA's libraries");
  }

 private:
  cudnnHandle_t handle_;
  fe::graph::Graph graph_;
  int64_t workspace_bytes_ = 0;
};

// Of a device.
class Plans {
 public:
  std::shared_ptr<const CudnnPlan> get(CudaDevice& device, const CudnnGraph& graph) {
    const std::lock_guard lock(mutex_);
    const auto found = plans_.find(graph.key);
    if (found != plans_.end()) {
      if (!found->second) return nullptr;
      if (auto plan = found->second->lock()) return plan;
    }
    std::shared_ptr<const CudnnPlan> plan = Plan::build(device, graph);
    if (!plan) {
      plans_[graph.key] = std::nullopt;
      return nullptr;
    }
    std::erase_if(plans_, [](const auto& one) { return one.second && one.second->expired(); });
    plans_[graph.key] = plan;
    recent_.push_back(plan);
    if (recent_.size() > kMostRecent) recent_.pop_front();
    return plan;
  }

 private:
  static constexpr size_t kMostRecent = 16;

  std::mutex mutex_;
  // By key; nothing where cuDNN has no plan.
  std::map<std::string, std::optional<std::weak_ptr<const CudnnPlan>>> plans_;
  // Layers that are prepared one after the other, each dropped before the next, find theirs.
  std::deque<std::shared_ptr<const CudnnPlan>> recent_;
};

}  // namespace

fe::DataType_t frontend_type(DType type) {
  switch (type) {
    case DType::kFloat16:
      return fe::DataType_t::HALF;
    case DType::kBFloat16:
      return fe::DataType_t::BFLOAT16;
    case DType::kFloat32:
      return fe::DataType_t::FLOAT;
    case DType::kFloat64:
      return fe::DataType_t::DOUBLE;
    default:
      throw Error(ErrorCode::kInternal, "cuDNN's graphs are of floating point", "");
  }
}

std::shared_ptr<const CudnnPlan> cudnn_plan(CudaDevice& device, const CudnnGraph& graph) {
  // The handle is made before, so that it is gone after the plans.
  cudnn_of(device);
  auto* plans =
      static_cast<Plans*>(device.library("cudnn plans", [] { return std::make_shared<Plans>(); }));
  return plans->get(device, graph);
}

}  // namespace cleave::backend
