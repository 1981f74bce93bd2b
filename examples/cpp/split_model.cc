// Splits an ONNX model over two virtual devices and runs it once on zeros.
//
//   split_model MODEL.onnx
#include <cleave/cleave.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: split_model MODEL.onnx\n");
    return 2;
  }
  try {
    const cleave::Network network = cleave::onnx::load(argv[1]);
    cleave::BuilderConfig config;
    config.devices = cleave::DeviceList::parse("cpu:0,cpu:1");
    const cleave::Engine engine = cleave::build(network, config);
    std::printf("%s", cleave::plan(network, config).table.c_str());

    cleave::Runtime runtime(config.devices);
    cleave::ExecutionContext context = runtime.create_context(engine);
    cleave::TensorMap inputs;
    for (const cleave::TensorInfo& input : engine.inputs()) {
      std::vector<int64_t> shape;
      for (const cleave::DimensionInfo& dimension : input.shape) shape.push_back(dimension.opt);
      inputs.set(input.name, cleave::Tensor(input.dtype, shape));
    }
    for (const auto& [name, tensor] : context.run(inputs)) {
      std::printf("%s: %s\n", name.c_str(), tensor.type_text().c_str());
    }
  } catch (const cleave::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return cleave::exit_code(error.code());
  }
}
