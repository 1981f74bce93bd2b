// ONNX's own node tests as engines: each supported case is built for one device of the backend that
// is tested and for three, or as many as there are, there by a plan of random costs so that as much
// as possible is split, and run.
#include <gtest/gtest.h>

#include "cleave/cleave.h"
#include "compiler/compile.h"
#include "onnx/import.h"
#include "tests/onnx_nodes/node_cases.h"
#include "tests/support/test_backend.h"

namespace cleave {
namespace {

BuilderConfig config_for(int ranks, const TensorMap& inputs) {
  BuilderConfig config;
  config.devices = backend::test_devices(ranks);
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

// The cases in parts that may run at once.
constexpr size_t kParts = 16;

class OnnxNodeEngines : public testing::TestWithParam<size_t> {};

TEST_P(OnnxNodeEngines, OfOneAndThreeDevicesAreRight) {
  std::map<int, Runtime> runtimes;
  for (const int64_t wanted : {1, 3}) {
    const auto ranks = static_cast<int>(backend::most_test_ranks(wanted));
    runtimes.try_emplace(ranks, backend::test_devices(ranks));
  }
  size_t cases = 0;
  const std::vector<std::filesystem::path> models = node_models();
  for (size_t i = GetParam(); i < models.size(); i += kParts) {
    const std::filesystem::path& model = models[i];
    SCOPED_TRACE(model.stem().string());
    const auto test = read_node_case(model);
    const auto network = test ? network_of(*test) : nullptr;
    if (!network) continue;
    ++cases;
    TensorMap inputs;
    for (size_t k = 0; k < test->inputs.size(); ++k) {
      const HostTensor& input = test->inputs[k];
      inputs.set(network->graph.value(network->graph.inputs()[k]).name,
                 Tensor::view(input.dtype, input.shape, input.bytes));
    }
    for (auto& [ranks, runtime] : runtimes) {
      SCOPED_TRACE(std::to_string(ranks) + " devices");
      try {
        const auto outputs = run(network, runtime, ranks, inputs);
        EXPECT_EQ(outputs.size(), test->outputs.size());
        for (size_t k = 0; k < outputs.size(); ++k) {
          expect_node_result(outputs[k], test->outputs[k]);
        }
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
    }
  }
  EXPECT_GT(cases, 700 / kParts);
}

INSTANTIATE_TEST_SUITE_P(Parts, OnnxNodeEngines, testing::Range(size_t{0}, kParts));

}  // namespace
}  // namespace cleave
