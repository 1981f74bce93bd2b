// Types that a model declares: of its inputs, with names for open dimensions, and of tensors, to
// compare with what is inferred.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "onnx.pb.h"
#include "onnx/import.h"
#include "types/tensor_type.h"

namespace cleave::onnx {

struct InputType {
  std::string name;
  TensorType type;
};

struct InputTypes {
  std::vector<InputType> inputs;  // in the model's order, without those that are initializers
  std::vector<SizeGuard> guards;  // of static shapes that follow an expression
};

// Error(kInvalid) on types that are no tensors' or wrong, Error(kUnsupported) on element types and
// ranks that are not supported, Error(kUsage) on static shapes that do not fit.
InputTypes input_types(const ::onnx::GraphProto& graph, const ImportOptions& options);

// Error(kInvalid) naming the tensor where what was inferred cannot be what the model declares.
void check_declared(const ::onnx::ValueInfoProto& declared, const TensorType& inferred);

}  // namespace cleave::onnx
