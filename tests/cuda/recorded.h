// A rank's operands on its GPU, and recordings of its calls.
#pragma once

#include <functional>

#include "comm/communicator.h"
#include "tests/conformance/communicator_harness.h"
#include "tests/cuda/gpus.h"

namespace cleave::conformance {

// One rank's stream and operands in its device's memory.
struct Operands {
  Communicator& rank;
  Stream& stream;
  GuardedMemory src;
  GuardedMemory dst;

  StreamHandle handle() const { return {stream.get()}; }
  void fill(const Buffer& from, const Buffer& to) {
    src.fill(from.data(), bytes_of(from), 0, stream.get());
    dst.fill(to.data(), bytes_of(to), 0, stream.get());
  }
  Buffer result(int64_t count, DType type) const {
    Buffer back(count, type);
    const auto bytes = static_cast<size_t>(bytes_of(back));
    require(cudaMemcpyAsync(back.data(), dst.data(), bytes, cudaMemcpyDeviceToHost, stream.get()));
    require(cudaStreamSynchronize(stream.get()));
    return back;
  }
  static int64_t bytes_of(const Buffer& buffer) {
    return buffer.count() * static_cast<int64_t>(size_of(buffer.type()));
  }
};

// A recording of `work`, which has been carried out before.
class Graph {
 public:
  Graph(cudaStream_t stream, const std::function<void()>& work) {
    require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    require(cudaStreamEndCapture(stream, &graph));
    require(cudaGraphInstantiate(&graph_, graph, 0));
    require(cudaGraphDestroy(graph));
  }
  ~Graph() { cudaGraphExecDestroy(graph_); }
  void replay(cudaStream_t stream) { require(cudaGraphLaunch(graph_, stream)); }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace cleave::conformance
