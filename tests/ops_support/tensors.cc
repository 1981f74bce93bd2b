#include "tests/ops_support/tensors.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>

namespace cleave::testing {

HostTensor tensor(DType dtype, std::vector<int64_t> shape, const std::vector<double>& values) {
  HostTensor result(dtype, std::move(shape));
  CLEAVE_CHECK(result.elements() == static_cast<int64_t>(values.size()),
               "a test tensor has another number of values than elements");
  for (size_t i = 0; i < values.size(); ++i) result.set(static_cast<int64_t>(i), values[i]);
  return result;
}

HostTensor random_integers(DType dtype, std::vector<int64_t> shape, uint64_t seed, int64_t low,
                           int64_t high) {
  HostTensor result(dtype, std::move(shape));
  std::mt19937_64 random(seed);
  const auto range = static_cast<uint64_t>(dtype == DType::kBool ? 2 : high - low + 1);
  const int64_t base = dtype == DType::kBool ? 0 : low;
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set_integer(i, base + static_cast<int64_t>(random() % range));
  }
  return result;
}

HostTensor random_reals(DType dtype, std::vector<int64_t> shape, uint64_t seed, double low,
                        double high) {
  HostTensor result(dtype, std::move(shape));
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < result.elements(); ++i) {
    result.set(i, low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53);
  }
  return result;
}

std::vector<double> values_of(const HostTensor& tensor) {
  std::vector<double> values;
  for (int64_t i = 0; i < tensor.elements(); ++i) values.push_back(tensor.get(i));
  return values;
}

std::vector<int64_t> integers_of(const HostTensor& tensor) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < tensor.elements(); ++i) values.push_back(tensor.get_integer(i));
  return values;
}

std::string difference(const HostTensor& actual, const HostTensor& expected, double tolerance) {
  const auto type = [](const HostTensor& t) {
    return TensorType{t.dtype, Shape(t.shape.begin(), t.shape.end())}.text();
  };
  if (actual.dtype != expected.dtype || actual.shape != expected.shape) {
    return "the type is " + type(actual) + ", expected " + type(expected);
  }
  if (actual.bytes == expected.bytes) return "";
  double largest = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double b = std::fabs(expected.get(i));
    if (std::isfinite(b)) largest = std::max(largest, b);
  }
  const bool integers = !is_floating(expected.dtype);
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double a = actual.get(i);
    const double b = expected.get(i);
    if (integers ? actual.get_integer(i) == expected.get_integer(i) : a == b) continue;
    if (std::isnan(a) && std::isnan(b)) continue;
    if (!integers && std::fabs(a - b) <= tolerance * largest) continue;
    return "element " + std::to_string(i) + " of " + type(expected) + " is " + std::to_string(a) +
           ", expected " + std::to_string(b);
  }
  return "";
}

std::vector<HostTensor> run_reference(const ops::OpDefinition& definition,
                                      const Attributes& attributes,
                                      const std::vector<const HostTensor*>& inputs) {
  std::vector<TensorType> types;
  const auto present = std::make_unique<bool[]>(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    present[i] = inputs[i] != nullptr;
    types.push_back(inputs[i] ? TensorType{inputs[i]->dtype,
                                           Shape(inputs[i]->shape.begin(), inputs[i]->shape.end())}
                              : TensorType{});
  }
  const ops::OpContext context{attributes, types, inputs, {present.get(), inputs.size()}};
  std::vector<HostTensor> outputs;
  for (const TensorType& type : definition.infer_types(context)) {
    outputs.emplace_back(type.dtype, evaluate(type.shape, {}));
  }
  definition.reference(attributes.evaluated({}), inputs, outputs);
  return outputs;
}

std::vector<HostTensor> run_reference(std::string_view op, const Attributes& attributes,
                                      const std::vector<HostTensor>& inputs) {
  std::vector<const HostTensor*> pointers;
  for (const HostTensor& input : inputs) pointers.push_back(&input);
  const ops::Registry registry = ops::Registry::builtin();
  return run_reference(registry.at(op), attributes, pointers);
}

std::vector<TensorType> infer(std::string_view op, const Attributes& attributes,
                              const std::vector<TensorType>& inputs,
                              std::vector<SizeGuard>* guards) {
  const ops::Registry registry = ops::Registry::builtin();
  const ops::OpContext context{attributes, inputs, {}, {}, guards};
  return registry.at(op).infer_types(context);
}

std::string inference_error(std::string_view op, const Attributes& attributes,
                            const std::vector<TensorType>& inputs) {
  try {
    infer(op, attributes, inputs);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInvalid) return error.message();
    throw;
  }
  return "";
}

}  // namespace cleave::testing
