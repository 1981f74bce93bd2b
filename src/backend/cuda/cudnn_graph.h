// cuDNN's graphs: operations described with its front end and built into a plan that is put on a
// stream. The front end's header, cudnn_frontend.h, is large: .cc files alone include it.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backend/cuda/cuda_device.h"
#include "backend/kernel.h"

namespace cudnn_frontend {
enum class DataType_t;
namespace graph {
class Graph;
}
}  // namespace cudnn_frontend

namespace cleave::backend {

// Float16, bfloat16, float32 or float64.
cudnn_frontend::DataType_t frontend_type(DType type);

// What a plan is made of.
struct CudnnGraph {
  // Equal keys mean equal graphs, of all kinds of kernels: it begins with the kernel's name.
  std::string key;
  // Puts tensors and operations into an empty graph. Tensors that a run is given have uids.
  std::function<void(cudnn_frontend::graph::Graph&)> describe;
  // Deselects plans that will not do; may be empty. Those whose bits differ from run to run never
  // do.
  std::function<void(cudnn_frontend::graph::Graph&)> deselect = {};
  int64_t most_workspace_bytes = 0;
  // The plan of this name in `cudnn_plan_names`; empty: the one that cuDNN thinks best.
  std::string plan = {};
};

class CudnnPlan {
 public:
  virtual ~CudnnPlan() = default;
  virtual int64_t workspace_bytes() const = 0;
  // Puts it on the launch's stream. `tensors`: the address of each uid. Error(kDevice).
  using Tensor = std::pair<int64_t, const void*>;
  virtual void run(std::span<const Tensor> tensors, std::byte* workspace,
                   const Launch& launch) const = 0;
  void run(std::initializer_list<Tensor> tensors, std::byte* workspace,
           const Launch& launch) const {
    run(std::span(tensors.begin(), tensors.size()), workspace, launch);
  }
};

// How names of algorithms that are such plans begin: another version has others. Ends in a space.
std::string cudnn_version_text();

// The names of the graph's plans that will do, cuDNN's best first, at most `most` of them: what
// carries it out and how that is set, the same in every process with this version of cuDNN.
// Error(kDevice) where the device fails.
std::vector<std::string> cudnn_plan_names(CudaDevice& device, const CudnnGraph& graph, size_t most);

// The plan asked for; null where cuDNN has none. Building one may compile device code,
// which takes long: those in use and the last few that were are kept, for all that ask with the
// same key. Error(kDevice) where the device fails.
std::shared_ptr<const CudnnPlan> cudnn_plan(CudaDevice& device, const CudnnGraph& graph);

}  // namespace cleave::backend
