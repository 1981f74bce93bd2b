// Network: a neural network before it is compiled.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cleave/log.h"

namespace cleave {

struct NetworkImpl;

// A value; copies share the network, which is not changed by compiling it.
class Network {
 public:
  explicit Network(std::shared_ptr<const NetworkImpl> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<const NetworkImpl>& impl() const { return impl_; }
  std::vector<std::string> input_names() const;
  std::vector<std::string> output_names() const;
  // The graph as text, one node a line.
  std::string text() const;

 private:
  std::shared_ptr<const NetworkImpl> impl_;
};

namespace onnx {

struct LoadOptions {
  // Fixed shapes of inputs; an extent of -1 leaves a dimension as the model has it.
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  // Weight files that are absent become noise made from `seed`.
  bool random_weights = false;
  uint64_t seed = 0;
  LogSink log;
};

// Reads an ONNX model. Its weight files must stay where they are until engines built from it are
// saved. Errors: kInvalid for a damaged model, kUnsupported with a list of every node that Cleave
// cannot express.
Network load(const std::filesystem::path& path, const LoadOptions& options = {});

}  // namespace onnx
}  // namespace cleave
