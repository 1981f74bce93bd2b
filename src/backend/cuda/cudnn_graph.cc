#include "backend/cuda/cudnn_graph.h"

#include <cudnn_frontend.h>

#include <algorithm>
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

// Describes what is asked for and asks cuDNN for its plans; null where none will do. `all`: also
// for those that its other heuristic, which takes longer, puts first.
std::shared_ptr<fe::graph::Graph> planned(CudaDevice& device, const CudnnGraph& asked, bool all) {
  constexpr const char* kDuring = "building a plan";
  std::vector<fe::HeurMode_t> modes = {fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK};
  if (all) modes.insert(modes.begin() + 1, fe::HeurMode_t::B);
  device.make_current();
  auto graph = std::make_shared<fe::graph::Graph>();
  try {
    asked.describe(*graph);
    if (!succeeded(graph->validate(), kDuring) ||
        !succeeded(graph->build_operation_graph(cudnn_of(device)), kDuring) ||
        !succeeded(graph->create_execution_plans(modes), kDuring)) {
      return nullptr;
    }
    graph->deselect_workspace_greater_than(asked.most_workspace_bytes);
    graph->deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
    if (asked.deselect) asked.deselect(*graph);
    return succeeded(graph->check_support(), kDuring) ? graph : nullptr;
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {
    return nullptr;  // what the front end cannot describe
  }
}

// One of a graph's plans.
class Plan final : public CudnnPlan {
 public:
  // Null where cuDNN does not build it, or it takes more than `most_bytes` of workspace.
  static std::shared_ptr<const Plan> build(CudaDevice& device,
                                           std::shared_ptr<fe::graph::Graph> graph, int64_t index,
                                           int64_t most_bytes) {
    constexpr const char* kDuring = "building a plan";
    int64_t bytes = 0;
    try {
      if (!succeeded(graph->build_plan_at_index(index), kDuring) ||
          !succeeded(graph->get_workspace_size_plan_at_index(index, bytes), kDuring) ||
          bytes > most_bytes) {
        return nullptr;
      }
    } catch (const std::exception&) {
      return nullptr;
    }
    return std::make_shared<Plan>(cudnn_of(device), std::move(graph), index, bytes);
  }

  Plan(cudnnHandle_t handle, std::shared_ptr<fe::graph::Graph> graph, int64_t index, int64_t bytes)
      : handle_(handle), graph_(std::move(graph)), index_(index), workspace_bytes_(bytes) {}

  static std::string name(const fe::graph::Graph& graph, int64_t index) {
    std::string name;
    return succeeded(graph.get_plan_name_at_index(index, name), "naming a plan") ? name : "";
  }

  int64_t workspace_bytes() const override { return workspace_bytes_; }

  using CudnnPlan::run;
  void run(std::span<const Tensor> tensors, std::byte* workspace,
           const Launch& launch) const override {
    std::unordered_map<int64_t, void*> addresses;
    for (const auto& [uid, data] : tensors) addresses.emplace(uid, const_cast<void*>(data));
    cudnn_check(cudnnSetStream(handle_, static_cast<cudaStream_t>(launch.stream.native)),
                "choosing a stream");
    const fe::error_object status =
        graph_->execute_plan_at_index(handle_, addresses, workspace, index_);
    if (status.is_good()) return;
    throw Error(ErrorCode::kDevice, "cuDNN: " + status.err_msg + " (running a plan)",
                "see `cleave doctor` for the versions of CUDA's libraries");
  }

 private:
  cudnnHandle_t handle_;
  std::shared_ptr<const fe::graph::Graph> graph_;  // of several plans
  int64_t index_;
  int64_t workspace_bytes_;
};

// Of a device.
class Plans {
 public:
  std::shared_ptr<const CudnnPlan> get(CudaDevice& device, const CudnnGraph& asked) {
    const std::lock_guard lock(mutex_);
    const std::string key = key_of(asked, asked.plan);
    const auto found = plans_.find(key);
    if (found != plans_.end()) {
      if (!found->second) return nullptr;
      if (auto plan = found->second->lock()) return plan;
    }
    std::shared_ptr<const CudnnPlan> plan;
    if (const auto graph = planned(device, asked, !asked.plan.empty())) {
      for (int64_t i = 0; plan == nullptr && i < graph->get_execution_plan_count(); ++i) {
        if (!asked.plan.empty() && Plan::name(*graph, i) != asked.plan) continue;
        plan = Plan::build(device, graph, i, asked.most_workspace_bytes);
      }
    }
    if (plan == nullptr) {
      plans_[key] = std::nullopt;
    } else {
      keep(key, plan);
    }
    return plan;
  }

  std::vector<std::string> names(CudaDevice& device, const CudnnGraph& asked, size_t most) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    const auto graph = planned(device, asked, true);
    if (graph == nullptr) return names;
    for (int64_t i = 0; names.size() < most && i < graph->get_execution_plan_count(); ++i) {
      const std::string name = Plan::name(*graph, i);
      if (name.empty() || std::ranges::count(names, name) > 0) continue;
      auto plan = Plan::build(device, graph, i, asked.most_workspace_bytes);
      if (plan == nullptr) continue;
      names.push_back(name);
      keep(key_of(asked, name), std::move(plan));
    }
    return names;
  }

 private:
  static constexpr size_t kMostRecent = 32;

  static std::string key_of(const CudnnGraph& asked, const std::string& plan) {
    return plan.empty() ? asked.key : asked.key + " by " + plan;
  }
  void keep(const std::string& key, std::shared_ptr<const CudnnPlan> plan) {
    std::erase_if(plans_, [](const auto& one) { return one.second && one.second->expired(); });
    plans_[key] = plan;
    recent_.push_back(std::move(plan));
    if (recent_.size() > kMostRecent) recent_.pop_front();
  }

  std::mutex mutex_;
  // By key; nothing where cuDNN has no plan.
  std::map<std::string, std::optional<std::weak_ptr<const CudnnPlan>>> plans_;
  // Layers that are prepared one after the other, each dropped before the next, find theirs; and
  // so does tuning, which asks for names first.
  std::deque<std::shared_ptr<const CudnnPlan>> recent_;
};

Plans& plans_of(CudaDevice& device) {
  // The handle is made before, so that it is gone after the plans.
  cudnn_of(device);
  return *static_cast<Plans*>(
      device.library("cudnn plans", [] { return std::make_shared<Plans>(); }));
}

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

std::string cudnn_version_text() { return std::to_string(cudnnGetVersion()) + " "; }

std::vector<std::string> cudnn_plan_names(CudaDevice& device, const CudnnGraph& graph,
                                          size_t most) {
  return plans_of(device).names(device, graph, most);
}

std::shared_ptr<const CudnnPlan> cudnn_plan(CudaDevice& device, const CudnnGraph& graph) {
  if (!device.is_there()) return nullptr;
  return plans_of(device).get(device, graph);
}

}  // namespace cleave::backend
