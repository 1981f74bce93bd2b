// Tensors for tests: made from values or seeds, and compared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/registry.h"
#include "types/host_tensor.h"
#include "types/reduce_op.h"

namespace cleave::testing {

// A tensor with these values in row-major order; there must be as many as the shape has elements.
HostTensor tensor(DType dtype, std::vector<int64_t> shape, const std::vector<double>& values);
// Integers in [low, high], so that sums of products are exact; bool: 0 or 1.
HostTensor random_integers(DType dtype, std::vector<int64_t> shape, uint64_t seed, int64_t low = -4,
                           int64_t high = 4);
// Reals in [low, high), rounded to the type.
HostTensor random_reals(DType dtype, std::vector<int64_t> shape, uint64_t seed, double low = -1,
                        double high = 1);
std::vector<double> values_of(const HostTensor& tensor);
std::vector<int64_t> integers_of(const HostTensor& tensor);

// Empty where the tensors agree, else what differs. `tolerance` bounds max|a - b| / max|b|; 0 asks
// for equal values (a NaN equals a NaN).
std::string difference(const HostTensor& actual, const HostTensor& expected, double tolerance = 0);

// Infers the types of an op's results from concrete operands and runs its reference. A null operand
// is absent.
std::vector<HostTensor> run_reference(const ops::OpDefinition& definition,
                                      const Attributes& attributes,
                                      const std::vector<const HostTensor*>& inputs);
// As above, with a built-in op by name and all operands there.
std::vector<HostTensor> run_reference(std::string_view op, const Attributes& attributes,
                                      const std::vector<HostTensor>& inputs);
// The types that an op infers; for tests of shape inference.
std::vector<TensorType> infer(std::string_view op, const Attributes& attributes,
                              const std::vector<TensorType>& inputs,
                              std::vector<SizeGuard>* guards = nullptr);
// The message of the Error(kInvalid) that inference throws; "" where it throws none.
std::string inference_error(std::string_view op, const Attributes& attributes,
                            const std::vector<TensorType>& inputs);

}  // namespace cleave::testing
