// ONNX's own node tests as engines: each supported case is built for one device and for three,
// there by a plan of random costs so that as much as possible is split, and run.
#include <gtest/gtest.h>

#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "onnx/import.h"
#include "tests/onnx_nodes/node_cases.h"

namespace cleave {
namespace {

BuilderConfig config_for(int ranks, const TensorMap& inputs) {
  BuilderConfig config;
  config.devices = DeviceList::cpu(ranks);
  for (const auto& [name, tensor] : inputs) {
    config.profile.push_back({name, tensor.shape(), tensor.shape(), tensor.shape()});
  }
  return config;
}

// Builds and runs the network; its outputs in order.
std::vector<HostTensor> run(const std::shared_ptr<const NetworkImpl>& network, Runtime& runtime,
                            int ranks, const TensorMap& inputs) {
  compiler::Overrides overrides;
  if (ranks > 1) overrides.random_costs = 1;
  const Engine engine = compiler::build(network, config_for(ranks, inputs), overrides);
  ExecutionContext context = runtime.create_context(engine);
  std::vector<HostTensor> outputs;
  for (const auto& [name, tensor] : context.run(inputs)) {
    outputs.emplace_back(tensor.dtype(), tensor.shape());
    std::copy_n(tensor.data(), tensor.bytes(), outputs.back().bytes.begin());
  }
  return outputs;
}

// The network of a case; null where it is not supported.
std::shared_ptr<const NetworkImpl> network_of(const NodeCase& test) {
  auto network = std::make_shared<NetworkImpl>();
  network->registry = ops::Registry::builtin();
  try {
    network->graph = onnx::load(test.model, {}, network->registry);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
    return nullptr;
  }
  return network;
}

TEST(OnnxNodes, EnginesOfOneAndThreeDevicesAreRight) {
  std::map<int, Runtime> runtimes;
  for (const int ranks : {1, 3}) runtimes.emplace(ranks, Runtime(DeviceList::cpu(ranks)));
  size_t cases = 0;
  for (const std::filesystem::path& model : node_models()) {
    SCOPED_TRACE(model.stem().string());
    const auto test = read_node_case(model);
    const auto network = test ? network_of(*test) : nullptr;
    if (!network) continue;
    ++cases;
    TensorMap inputs;
    for (size_t i = 0; i < test->inputs.size(); ++i) {
      const HostTensor& input = test->inputs[i];
      inputs.set(network->graph.value(network->graph.inputs()[i]).name,
                 Tensor::view(input.dtype, input.shape, input.bytes));
    }
    for (auto& [ranks, runtime] : runtimes) {
      SCOPED_TRACE(std::to_string(ranks) + " devices");
      try {
        const auto outputs = run(network, runtime, ranks, inputs);
        EXPECT_EQ(outputs.size(), test->outputs.size());
        for (size_t i = 0; i < outputs.size(); ++i) {
          expect_node_result(outputs[i], test->outputs[i]);
        }
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
  EXPECT_GT(cases, 700u);
}

}  // namespace
}  // namespace cleave
