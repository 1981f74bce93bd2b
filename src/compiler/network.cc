#include "compiler/network_impl.h"
#include "ir/text.h"
#include "onnx/import.h"

namespace cleave {

std::vector<std::string> Network::input_names() const {
  std::vector<std::string> names;
  for (ir::ValueId id : impl_->graph.inputs()) names.push_back(impl_->graph.value(id).name);
  return names;
}

std::vector<std::string> Network::output_names() const {
  std::vector<std::string> names;
  for (ir::ValueId id : impl_->graph.outputs()) names.push_back(impl_->graph.value(id).name);
  return names;
}

std::string Network::text() const { return ir::to_text(impl_->graph); }

namespace onnx {

Network load(const std::filesystem::path& path, const LoadOptions& options) {
  ImportOptions import;
  import.static_shapes = options.shapes;
  import.random_weights = options.random_weights;
  import.seed = options.seed;
  import.log = options.log;
  auto impl = std::make_shared<NetworkImpl>();
  impl->registry = ops::Registry::builtin();
  impl->graph = load(path, import, impl->registry);
  return Network(std::move(impl));
}

}  // namespace onnx
}  // namespace cleave
