// Models of one node, for the tests of converters.
#pragma once

#include <cmath>
#include <functional>

#include "onnx/test_model.h"

namespace cleave::onnx {

using Values = std::vector<double>;
using Edit = std::function<void(::onnx::NodeProto&)>;

inline int onnx_type(DType dtype) {
  return TestModel::proto_of("", HostTensor(dtype, {0})).data_type();
}

struct Operand {
  HostTensor value;
  bool is_constant = false;
};

// One node: `data` are graph inputs, `constants` initializers; the outputs of the node.
inline std::vector<HostTensor> run(const std::string& op, int64_t opset,
                                   const std::vector<Operand>& operands, const Edit& edit = {},
                                   size_t outputs = 1) {
  TestModel model(opset);
  std::vector<std::string> names;
  std::vector<HostTensor> inputs;
  for (size_t i = 0; i < operands.size(); ++i) {
    const HostTensor& value = operands[i].value;
    names.push_back("x" + std::to_string(i));
    if (operands[i].is_constant) {
      model.initializer(names.back(), value);
      continue;
    }
    std::vector<TestDim> dims;
    for (const int64_t extent : value.shape) dims.emplace_back(static_cast<int>(extent));
    model.input(names.back(), dims, onnx_type(value.dtype));
    inputs.push_back(value);
  }
  std::vector<std::string> results;
  for (size_t i = 0; i < outputs; ++i) {
    results.push_back("y" + std::to_string(i));
    model.output(results.back());
  }
  ::onnx::NodeProto& node = model.node(op, names, results);
  if (edit) edit(node);
  return model.run(inputs);
}

// Sets integer attributes.
inline Edit with(std::vector<std::pair<const char*, int64_t>> values) {
  return [values = std::move(values)](::onnx::NodeProto& node) {
    for (const auto& [name, value] : values) set(node, name, value);
  };
}

inline Operand data(HostTensor value) { return {std::move(value), false}; }
inline Operand fixed(HostTensor value) { return {std::move(value), true}; }

inline void expect(const HostTensor& actual, const std::vector<int64_t>& shape,
                   const Values& values) {
  EXPECT_EQ(actual.shape, shape);
  ASSERT_EQ(values_of(actual).size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = actual.get(static_cast<int64_t>(i));
    if (std::isinf(values[i])) {
      EXPECT_EQ(value, values[i]) << i;
    } else {
      EXPECT_NEAR(value, values[i], 1e-5 * std::max(1.0, std::abs(values[i]))) << i;
    }
  }
}

}  // namespace cleave::onnx
